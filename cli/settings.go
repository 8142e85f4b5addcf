package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
)

// settingFlags are the flags of one command that stand for settings.
type settingFlags struct {
	file   string
	env    string
	single map[string]*string
	multi  map[string]*[]string
	toggle map[string]*bool
}

// addSettings gives cmd a --config flag and a flag for each named setting.
func addSettings(cmd *cobra.Command, names ...string) *settingFlags {
	f := &settingFlags{single: map[string]*string{}, multi: map[string]*[]string{}, toggle: map[string]*bool{}}
	cmd.Flags().StringVar(&f.file, "config", os.Getenv("GATEHOUSE_CONFIG"), "settings file (gatehouse.yaml); also GATEHOUSE_CONFIG")
	cmd.Flags().StringVar(&f.env, "env-file", "", "file of environment variables, used where the environment has none; also GATEHOUSE_ENV_FILE (default .env, if there is one)")
	def := config.Default()
	for _, name := range names {
		s, ok := config.Lookup(name)
		if !ok || s.Secret {
			panic("no setting with a flag: " + name)
		}
		switch {
		case s.Switch:
			f.toggle[name] = cmd.Flags().Bool(s.FlagName(), false, s.Doc)
		case s.List:
			f.multi[name] = cmd.Flags().StringArray(s.FlagName(), nil, s.Doc+" (may be repeated)")
		default:
			doc := s.Doc
			if v := s.Get(def); v != "" && name != "state" {
				doc += " (default " + v + ")"
			}
			f.single[name] = cmd.Flags().String(s.FlagName(), "", doc)
		}
	}
	return f
}

// load reads file and environment, lays the flags that were given over them and
// validates the whole.
func (f *settingFlags) load(cmd *cobra.Command) (*config.Config, error) {
	c, err := config.Read(f.file, f.env, os.Getenv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(err, "write one (docs/configuration.md begins with an example), or leave out what names it: every setting is a flag and a variable too")
	}
	if err != nil {
		return nil, err
	}
	for _, s := range config.Settings() {
		if s.Secret || !cmd.Flags().Changed(s.FlagName()) {
			continue
		}
		var values []string
		switch {
		case f.single[s.Name] != nil:
			values = []string{*f.single[s.Name]}
		case f.toggle[s.Name] != nil:
			values = []string{map[bool]string{true: "true", false: "false"}[*f.toggle[s.Name]]}
		case f.multi[s.Name] != nil:
			values = splitRepeated(s, *f.multi[s.Name])
		default:
			continue
		}
		if err := s.Set(c, values); err != nil {
			return nil, &UsageError{Err: &config.Error{Where: "--" + s.FlagName(), Err: err}}
		}
	}
	if err := c.ReadAPIConfig(); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// splitRepeated lets --region a,b stand for --region a --region b. Sinks are
// left whole: a Kafka URL has commas of its own.
func splitRepeated(s *config.Setting, given []string) []string {
	if s.Name == "sinks" {
		return given
	}
	var out []string
	for _, g := range given {
		for v := range strings.SplitSeq(g, ",") {
			if v = strings.TrimSpace(v); v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}
