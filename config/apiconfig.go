package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// DefaultAPIConfig is the file that cequence_auto_discover_apis=false reads.
const DefaultAPIConfig = "api-config.json"

// maxAPIConfig is more than a file about the APIs of one region ever needs.
const maxAPIConfig = 4 << 20

// apiConfig is the form of an api-config.json. The Cequence integration
// documents that the file lists the APIs to enable in one region, and not its
// form: this one is the best evidence.
type apiConfig struct {
	Region   string      `json:"region"`
	RESTAPIs []listedAPI `json:"rest_apis"`
	HTTPAPIs []listedAPI `json:"http_apis"`
}

// listedAPI is an API with the stages to read; all if none is named.
type listedAPI struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"` // for people
	Stages []string `json:"stages"`
}

// ReadAPIConfig restricts c to the APIs that the file of api_config lists, if one
// is named. Where apis is set the file adds nothing. It is called once, after all
// settings are known.
func (c *Config) ReadAPIConfig() error {
	if c.APIConfig == "" {
		return nil
	}
	if len(c.APIs) > 0 {
		c.notice("apis is set: %s is not read", c.APIConfig)
		return nil
	}
	f, err := os.Open(c.APIConfig)
	if err != nil {
		return &Error{Where: "api_config", Err: err, Hint: "list the APIs to read in it (docs/drop-in.md), or set cequence_auto_discover_apis=true"}
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxAPIConfig+1))
	if err != nil {
		return &Error{Where: c.APIConfig, Err: err}
	}
	region, apis, err := parseAPIConfig(b)
	if err != nil {
		return &Error{Where: c.APIConfig + place(b, err), Err: err, Hint: "docs/drop-in.md shows the form"}
	}
	c.APIs = apis
	if region != "" {
		if n := len(c.Accounts.Regions); n > 1 || n == 1 && c.Accounts.Regions[0] != region {
			c.notice("%s names the region %s: only that one is read", c.APIConfig, region)
		}
		c.Accounts.Regions = []string{region}
	}
	return nil
}

// parseAPIConfig gives the region and the APIs as ID or ID/STAGE.
func parseAPIConfig(b []byte) (region string, apis []string, err error) {
	if len(b) > maxAPIConfig {
		return "", nil, fmt.Errorf("is larger than %d bytes", maxAPIConfig)
	}
	var file apiConfig
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return "", nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", nil, errors.New("something follows after the object")
	}
	for _, list := range []struct {
		name string
		apis []listedAPI
	}{{"rest_apis", file.RESTAPIs}, {"http_apis", file.HTTPAPIs}} {
		for i, a := range list.apis {
			if !isID(a.ID) {
				return "", nil, fmt.Errorf("%s[%d]: id %q is not the ID of an API", list.name, i, a.ID)
			}
			if len(a.Stages) == 0 {
				apis = append(apis, a.ID)
			}
			for _, stage := range a.Stages {
				if stage == "" || strings.ContainsAny(stage, "/ ") {
					return "", nil, fmt.Errorf("%s[%d]: %q is not the name of a stage", list.name, i, stage)
				}
				apis = append(apis, a.ID+"/"+stage)
			}
		}
	}
	if len(apis) == 0 {
		return "", nil, errors.New("lists no API: nothing would be read")
	}
	return file.Region, apis, nil
}

func isID(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// place is ":LINE:COLUMN" of a JSON error, as far as it tells.
func place(b []byte, err error) string {
	var offset int64
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = syntax.Offset
	} else if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = kind.Offset
	}
	if offset <= 0 || offset > int64(len(b)) {
		return ""
	}
	before := b[:offset-1]
	return fmt.Sprintf(":%d:%d", 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n'))
}
