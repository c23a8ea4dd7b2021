package cmdline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/config"
)

// configFile is the name of the settings.
const configFile = "config.toml"

// configPath is $MESH_HOME/config.toml, else $XDG_CONFIG_HOME/mesh/config.toml,
// else ~/.config/mesh/config.toml; "" when none of these is set.
func configPath() string {
	if dir := os.Getenv("MESH_HOME"); dir != "" {
		return filepath.Join(dir, configFile)
	}
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, toolbox, configFile)
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", toolbox, configFile)
	}
	return ""
}

// settings are those of a run.
type settings struct {
	file  *config.File
	given map[string]bool // flags on the command line
}

// applySettings sets the flags of the tool that the command line does not.
func (r *run) applySettings(c *cli.Context) error {
	tool := strings.TrimPrefix(r.name, toolbox+"-")
	s := &settings{file: new(config.File), given: make(map[string]bool)}
	r.settings = s
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; c.IsSet(name) {
			s.given[name] = true
		}
	}
	if !slices.ContainsFunc(Settings, func(row Setting) bool { return slices.Contains(row.Tools, tool) }) {
		return nil
	}
	if path := configPath(); path != "" {
		var err error
		if s.file, err = config.Load(path, keys()); err != nil {
			return err
		}
	}
	for _, row := range Settings {
		if s.given[row.Flag] || !slices.Contains(row.Tools, tool) || find(c.Command.Flags, row.Flag) == nil {
			continue // given, or not for this command of the tool
		}
		if v, ok := s.lookup(c, row); ok {
			if err := set(c, row, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup finds what a flag is set to: by the environment, else by the file.
func (s *settings) lookup(c *cli.Context, row Setting) (config.Value, bool) {
	name, caller := strings.CutPrefix(row.Key, "call.")
	peer := ""
	if caller {
		if peer = called(c); peer == "" {
			return config.Value{}, false
		}
	}
	if v, ok := fromEnv(row); ok {
		return v, true
	}
	if caller {
		if v, ok := s.file.Lookup("peers." + peer + "." + name); ok {
			return v, true
		}
	}
	return s.file.Lookup(row.Key)
}

// called is the PEER that a tool calls: its first argument, or what MESH_PEER has,
// which mesh-recv does not look at. "" when it calls nobody.
func called(c *cli.Context) string {
	if c.Bool("share") {
		return ""
	}
	if c.Args().Present() {
		return c.Args().First()
	}
	if c.Command.Name == "recv" || strings.HasSuffix(c.Command.Name, "-recv") {
		return ""
	}
	return os.Getenv("MESH_PEER")
}

// fromEnv is what the variable of a key has, if it is not empty.
func fromEnv(row Setting) (config.Value, bool) {
	name := "MESH_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(row.Key))
	text := os.Getenv(name)
	if text == "" {
		return config.Value{}, false
	}
	v := config.Value{Words: []string{text}, Key: name, At: "environment"}
	if row.Kind == config.List {
		v.Words = strings.Split(text, ",")
	}
	return v, true
}

// set sets a flag, and checks it as if it were on the command line.
func set(c *cli.Context, row Setting, v config.Value) error {
	words := v.Words
	if row.Kind == config.Count {
		times := map[string]int{"false": 0, "0": 0, "true": 1, "1": 1, "2": 2}
		n, ok := times[words[0]]
		if !ok {
			return v.Errorf("want 0, 1 or 2")
		}
		if n > 0 { // urfave/cli has subtracted its aliases, and counts them elsewhere
			n += len(find(c.Command.Flags, row.Flag).Names()) - 1
		}
		words = slices.Repeat([]string{"true"}, n)
	}
	for _, w := range words {
		if err := c.Set(row.Flag, w); err != nil {
			return v.Errorf("%s is not a value of --%s", proto.QuoteText(w), row.Flag)
		}
	}
	if f, ok := find(c.Command.Flags, row.Flag).(cli.ActionableFlag); ok && len(words) > 0 {
		if err := f.RunAction(c); err != nil {
			return v.Errorf("%w", err)
		}
	}
	return nil
}

// Given reports whether a flag, by its first name, is on the command line, and not
// only set by the environment or the settings.
func Given(c *cli.Context, flag string) bool {
	r, ok := c.App.Metadata[runKey].(*run)
	return ok && r.settings != nil && r.settings.given[flag]
}

// PeerSettings returns the [peers.NAME] that there are; the word of each is NAME.
func PeerSettings(c *cli.Context) []config.Value {
	if r, ok := c.App.Metadata[runKey].(*run); ok && r.settings != nil {
		return r.settings.file.Tables("peers")
	}
	return nil
}

// PeerSetting returns a key of [peers.NAME].
func PeerSetting(c *cli.Context, name, key string) (config.Value, bool) {
	if r, ok := c.App.Metadata[runKey].(*run); ok && r.settings != nil {
		return r.settings.file.Lookup("peers." + name + "." + key)
	}
	return config.Value{}, false
}

// Reread returns c as it would be if the tool began now: with the same command
// line, and the settings as they are now.
func Reread(c *cli.Context) (*cli.Context, error) {
	old := c.App.Metadata[runKey].(*run)
	var now *cli.Context
	r := &run{
		tools: old.tools, stdin: old.stdin, stdout: old.stdout, stderr: old.stderr, name: toolbox,
		instead: func(c *cli.Context) error { now = c; return nil },
	}
	if err := r.run(c.Context, old.args); err != nil {
		return nil, err
	}
	return now, nil
}
