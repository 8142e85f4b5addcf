package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// DefaultEnvFile is read if it is in the working directory.
const DefaultEnvFile = ".env"

// maxEnvFile is more than any such file has.
const maxEnvFile = 1 << 20

// Read is Load with a file of environment variables under the environment: a
// variable that the environment has wins. Without a name it is DefaultEnvFile,
// if that exists.
//
// The file gives values to settings alone. It does not change the environment of
// the process, so it cannot point the AWS SDK to other credentials or endpoints:
// a file in a working directory may be somebody else's. AWS_REGION in it is the
// default of regions.
func Read(path, envFile string, getenv func(string) string) (*Config, error) {
	name := envFile
	if name == "" {
		name = getenv("GATEHOUSE_ENV_FILE")
	}
	vars, err := readEnvFile(name)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = DefaultEnvFile
	}
	lookup := func(key string) string {
		if v := getenv(key); v != "" {
			return v
		}
		return vars[key]
	}
	if path == "" {
		path = lookup("GATEHOUSE_CONFIG")
	}
	c, err := Load(path, lookup)
	if err != nil {
		return nil, err
	}
	if region := vars["AWS_REGION"]; region != "" && getenv("AWS_REGION") == "" && len(c.Accounts.Regions) == 0 {
		c.Accounts.Regions = []string{region}
	}
	c.noticeUnknown(name, vars)
	return c, nil
}

// noticeUnknown tells of variables in the file that nobody reads. Only names are
// told: the values may be secrets of another program.
func (c *Config) noticeUnknown(file string, vars map[string]string) {
	others := 0
	for _, name := range sortedNames(vars) {
		switch {
		case known(name):
		case strings.HasPrefix(name, "cequence_"), strings.HasPrefix(name, "AKTO_"), strings.HasPrefix(name, "GATEHOUSE_"):
			c.notice("%s in %s is no variable that Gatehouse knows", name, file)
		case strings.HasPrefix(name, "AWS_"):
			c.notice("%s in %s has no effect: set it in the environment, where the AWS SDK reads it", name, file)
		default:
			others++
		}
	}
	if others > 0 {
		c.notice("%d variables in %s are not Gatehouse's and have no effect", others, file)
	}
}

func sortedNames(vars map[string]string) []string {
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func known(name string) bool {
	return name == "AWS_REGION" || name == "GATEHOUSE_CONFIG" ||
		slices.ContainsFunc(legacy, func(l Legacy) bool { return l.Name == name }) ||
		slices.ContainsFunc(settings, func(s *Setting) bool { return s.Variable() == name })
}

func readEnvFile(name string) (map[string]string, error) {
	optional := name == ""
	if optional {
		name = DefaultEnvFile
	}
	f, err := os.Open(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no file, no variables
	}
	if err != nil {
		return nil, &Error{Where: name, Err: err, Hint: "let Gatehouse read it, or name another with --env-file"}
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		if optional {
			return nil, nil //nolint:nilnil // a folder of that name is no file of variables
		}
		return nil, &Error{Where: name, Err: errors.New("is a folder")}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	if err != nil {
		return nil, &Error{Where: name, Err: err}
	}
	if len(b) > maxEnvFile {
		return nil, &Error{Where: name, Err: fmt.Errorf("is larger than %d bytes", maxEnvFile)}
	}
	vars, line, err := parseEnv(b)
	if err != nil {
		return nil, &Error{Where: fmt.Sprintf("%s:%d", name, line), Err: err, Hint: "each line is NAME=VALUE, # begins a comment; --env-file names another file, /dev/null for none"}
	}
	return vars, nil
}

// parseEnv reads lines of NAME=VALUE, with "export " before them or not. A value
// may stand in single quotes, where everything is meant as it is, or in double
// quotes, where \n, \r, \t, \\, \" and \$ are escapes; without quotes it ends at
// " #" or at the end of the line. Nothing is substituted: a $ in a secret is a $.
// On an error it returns the line's number; the error has no value of the file.
func parseEnv(b []byte) (vars map[string]string, line int, err error) {
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, 1, errors.New("is not a text file")
	}
	vars = map[string]string{}
	for text := range strings.SplitSeq(strings.TrimPrefix(string(b), "\ufeff"), "\n") {
		line++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(text, "export"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
			text = strings.TrimSpace(rest)
		}
		name, value, ok := strings.Cut(text, "=")
		name = strings.TrimRight(name, " \t")
		if !ok || !isName(name) {
			return nil, line, errors.New("is not of the form NAME=VALUE")
		}
		if _, twice := vars[name]; twice {
			return nil, line, fmt.Errorf("%s is set twice", name)
		}
		if vars[name], err = envValue(strings.TrimSpace(value)); err != nil {
			return nil, line, fmt.Errorf("%s: %w", name, err)
		}
	}
	return vars, 0, nil
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func envValue(text string) (string, error) {
	if text == "" || text[0] == '#' {
		return "", nil
	}
	var value, rest string
	switch text[0] {
	case '\'':
		end := strings.IndexByte(text[1:], '\'')
		if end < 0 {
			return "", errors.New("a single quote is not closed on its line")
		}
		value, rest = text[1:1+end], text[2+end:]
	case '"':
		var b strings.Builder
		i := 1
		for ; i < len(text) && text[i] != '"'; i++ {
			if text[i] != '\\' {
				b.WriteByte(text[i])
				continue
			}
			i++
			if i == len(text) {
				break
			}
			at := strings.IndexByte(`nrt\"$`, text[i])
			if at < 0 {
				return "", fmt.Errorf(`there is no escape \%c; use single quotes for text that is meant as it is`, text[i])
			}
			b.WriteByte("\n\r\t\\\"$"[at])
		}
		if i >= len(text) {
			return "", errors.New("a double quote is not closed on its line")
		}
		value, rest = b.String(), text[i+1:]
	default:
		for i := range len(text) - 1 {
			if (text[i] == ' ' || text[i] == '\t') && text[i+1] == '#' {
				return strings.TrimSpace(text[:i]), nil
			}
		}
		return text, nil
	}
	if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
		return "", errors.New("something follows after the closing quote")
	}
	return value, nil
}
