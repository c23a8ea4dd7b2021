package cmdline

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/config"
	"mesh/tools/job"
	"mesh/tools/paste"
)

// settings are the settings of one run.
type settings struct {
	file  *config.File
	given map[string]bool // flags on the command line
	peer  string          // that of [ForPeer], else ""
}

// applySettings sets the flags of the tool that are not on the command line, from
// the environment or from config.toml.
func (r *run) applySettings(c *cli.Context) error {
	tool := strings.TrimPrefix(r.name, toolbox+"-")
	if c.Command.Category == commandsCategory {
		tool = c.Command.Name
	}
	s := &settings{file: new(config.File), given: make(map[string]bool), peer: r.peer}
	r.settings = s
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; c.IsSet(name) {
			s.given[name] = true
		}
	}
	if !slices.ContainsFunc(Settings, func(row Setting) bool {
		return slices.Contains(row.Tools, tool) && findFlag(c.Command.Flags, row.Flag) != nil
	}) {
		return nil
	}
	if path := configPath(); path != "" {
		var err error
		if s.file, err = config.Load(path, keys()); err != nil {
			return err
		}
	}
	for _, table := range s.file.Tables("jobs") {
		if err := job.CheckName(table.Words[0]); err != nil {
			return table.Errorf("%w", err)
		}
	}
	for _, row := range Settings {
		if s.given[row.Flag] || !slices.Contains(row.Tools, tool) || findFlag(c.Command.Flags, row.Flag) == nil {
			continue // on the command line, or not a flag of this subcommand
		}
		if v, ok := s.lookup(c, row); ok {
			if err := setFlag(c, row, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup returns the value of a setting: from the environment, else from the file.
func (s *settings) lookup(c *cli.Context, row Setting) (config.Value, bool) {
	if name, ok := strings.CutPrefix(row.Key, "call."); ok {
		return s.lookupCall(c, row, name)
	}
	if name, ok := strings.CutPrefix(row.Key, "jobs.*."); ok {
		return s.lookupJob(c, name)
	}
	if v, ok := fromEnv(row); ok {
		return v, true
	}
	return s.file.Lookup(row.Key)
}

// lookupCall is lookup for a key of [call] that is called name. In the file, [jobs.NAME]
// of the job takes precedence over [peers.NAME] of the peer that is called, and that over
// [call]. Without a peer that is called, there is only the job.
func (s *settings) lookupCall(c *cli.Context, row Setting, name string) (config.Value, bool) {
	peer := cmp.Or(s.peer, calledPeer(c))
	if peer != "" {
		if v, ok := fromEnv(row); ok {
			return v, true
		}
	}
	if v, ok := s.lookupJob(c, name); ok || peer == "" {
		return v, ok
	}
	if v, ok := s.file.Lookup("peers." + peer + "." + name); ok {
		return v, true
	}
	return s.file.Lookup(row.Key)
}

// lookupJob returns the value of a key of [jobs.NAME] of the job, if the tool is one.
func (s *settings) lookupJob(c *cli.Context, name string) (config.Value, bool) {
	job := c.String(JobName)
	if job == "" {
		return config.Value{}, false
	}
	return s.file.Lookup("jobs." + job + "." + name)
}

// calledPeer returns the PEER that a tool calls: its first argument, else the value of
// MESH_PEER, which mesh-recv does not read. It is "" for a tool that waits.
func calledPeer(c *cli.Context) string {
	if c.Bool("share") {
		return ""
	}
	if c.Args().Present() {
		return paste.PeerWord(c.Args().First())
	}
	if c.Command.Name == "recv" || strings.HasSuffix(c.Command.Name, "-recv") {
		return ""
	}
	return paste.PeerWord(os.Getenv("MESH_PEER"))
}

// fromEnv returns the value of the variable of a key, if it is not empty.
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

// setFlag sets a flag and checks the value as if it were on the command line.
func setFlag(c *cli.Context, row Setting, v config.Value) error {
	words := v.Words
	if row.Kind == config.Texts {
		words = []string{strings.Join(words, " ")}
	}
	if row.Kind == config.Count {
		times := map[string]int{"false": 0, "0": 0, "true": 1, "1": 1, "2": 2}
		n, ok := times[words[0]]
		if !ok {
			return v.Errorf("want 0, 1 or 2")
		}
		if n > 0 { // the count of urfave/cli starts at minus the number of aliases
			n += len(findFlag(c.Command.Flags, row.Flag).Names()) - 1
		}
		words = slices.Repeat([]string{"true"}, n)
	}
	for _, w := range words {
		if err := setValue(c, row.Flag, w); err != nil {
			return v.Errorf("%s is not a valid value of --%s", proto.QuoteText(w), row.Flag)
		}
	}
	if f, ok := findFlag(c.Command.Flags, row.Flag).(cli.ActionableFlag); ok && len(words) > 0 {
		if err := f.RunAction(c); err != nil {
			return v.Errorf("%w", err)
		}
	}
	return nil
}

// Given reports whether a flag, by its first name, is on the command line. A flag that
// only the environment or the settings set is not.
func Given(c *cli.Context, flag string) bool {
	r, ok := c.App.Metadata[runKey].(*run)
	return ok && r.settings != nil && r.settings.given[flag]
}

// GivenFlags returns the flags for which [Given] is true, by their first names.
func GivenFlags(c *cli.Context) map[string]bool {
	given := make(map[string]bool)
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; Given(c, name) {
			given[name] = true
		}
	}
	return given
}

// PeerSettings returns the tables [peers.NAME]. The word of each is NAME.
func PeerSettings(c *cli.Context) []config.Value { return tables(c, "peers") }

// JobSettings returns the tables [jobs.NAME] likewise.
func JobSettings(c *cli.Context) []config.Value { return tables(c, "jobs") }

func tables(c *cli.Context, of string) []config.Value {
	if r, ok := c.App.Metadata[runKey].(*run); ok && r.settings != nil {
		return r.settings.file.Tables(of)
	}
	return nil
}

// PeerSetting returns the value of a key of [peers.NAME].
func PeerSetting(c *cli.Context, name, key string) (config.Value, bool) {
	return inTable(c, "peers."+name+"."+key)
}

// JobSetting returns the value of a key of [jobs.NAME].
func JobSetting(c *cli.Context, name, key string) (config.Value, bool) {
	return inTable(c, "jobs."+name+"."+key)
}

func inTable(c *cli.Context, key string) (config.Value, bool) {
	if r, ok := c.App.Metadata[runKey].(*run); ok && r.settings != nil {
		return r.settings.file.Lookup(key)
	}
	return config.Value{}, false
}

// KeySetting returns the value of a key without a flag: of the environment, else of the
// file.
func KeySetting(c *cli.Context, key string) (config.Value, bool) {
	r, ok := c.App.Metadata[runKey].(*run)
	i := slices.IndexFunc(Settings, func(s Setting) bool { return s.Key == key })
	if !ok || r.settings == nil || i < 0 {
		return config.Value{}, false
	}
	return r.settings.lookup(c, Settings[i])
}

// Reread returns c as it would be if the tool started now: the same command line,
// with the settings of now.
func Reread(c *cli.Context) (*cli.Context, error) { return ForPeer(c, "") }

// ForPeer returns c as it would be if the tool called the peer alone: the same command line,
// with the settings of [peers.NAME]. "" stands for the peer of the command line.
func ForPeer(c *cli.Context, peer string) (*cli.Context, error) {
	old := c.App.Metadata[runKey].(*run)
	var now *cli.Context
	r := &run{
		tools: old.tools, commands: old.commands, stdin: old.stdin, stdout: old.stdout, stderr: old.stderr, name: toolbox, peer: peer,
		instead: func(c *cli.Context) error { now = c; return nil },
	}
	if err := r.run(c.Context, old.args); err != nil {
		return nil, err
	}
	return now, nil
}
