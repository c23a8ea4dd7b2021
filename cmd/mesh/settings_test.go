package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
	"mesh/tools/config"
)

// unset lists the flags without a setting: they describe one call.
var unset = map[string][]string{
	"cat":    {"need", "lag", "job", "archive", "symlinks", "skip-special", "dry-run", "exclude", "exclude-from"},
	"listen": {"qr", "copy", "serve", "archive", "symlinks", "skip-special", "dry-run", "exclude", "exclude-from"},
	"recv": {
		"job",
		"output", "directory", "archive", "dry-run", "next", "gc", "name", "force", "rename", "portable", "any-names", "max-size", "max-files",
		"as", "room", "listen", "addr", "token-file", "show-token", "qr", "copy", "token-only", "ttl",
	},
	"hub":    {"json"},
	"pair":   {"name", "allow", "listen", "addr", "token-file", "show-token", "qr", "copy", "ttl", "wait", "via", "deadline", "events", "quiet", "verbose"},
	"ping":   {"count", "json", "redact"},
	"token":  {"trust"},
	"status": {"json", "check"},
	"tty": {
		"share", "name", "headless", "record", "max", "room", "listen", "addr", "token-file", "show-token", "qr", "copy", "token-only", "ttl",
		"raw", "plain", "cast", "json", "once", "input", "read-only", "backlog", "strict", "exit-status", "as", "linger", "clipboard",
	},
}

// TestSettings compares the flags of all commands, and of all tools that link, with the
// table of settings. A new flag needs a key, or an entry in unset.
func TestSettings(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, construct := range slices.Concat(tools, commands) {
		c := construct()
		flags := c.Flags
		if sub := map[string]string{"hub": "serve", "token": "allow"}[c.Name]; sub != "" {
			flags = flagsOf(c, sub)
			if c.Name == "hub" {
				flags = slices.Concat(flags, flagsOf(c, "who"))
			}
		} else if !isCommand(c) && !slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return f.Names()[0] == "hub" }) {
			continue
		}
		for _, f := range flags {
			name := f.Names()[0]
			i := slices.IndexFunc(cmdline.Settings, func(s cmdline.Setting) bool { return s.Flag == name && slices.Contains(s.Tools, c.Name) })
			switch listed := slices.Contains(unset[c.Name], name); {
			case i < 0 && !listed:
				t.Errorf("mesh-%s --%s has no key", c.Name, name)
			case i >= 0 && listed:
				t.Errorf("mesh-%s --%s has a key, and is listed as having none", c.Name, name)
			case i >= 0:
				s := cmdline.Settings[i]
				seen[c.Name+" "+s.Key] = true
				if !fits(f, s.Kind) {
					t.Errorf("mesh-%s --%s is a %T, and %s is %s", c.Name, name, f, s.Key, s.Kind)
				}
			}
		}
	}
	for _, s := range cmdline.Settings {
		for _, tool := range s.Tools {
			if !seen[tool+" "+s.Key] {
				t.Errorf("%s is for mesh-%s --%s, which is not there", s.Key, tool, s.Flag)
			}
		}
	}
}

// flagsOf returns the flags of a subcommand.
func flagsOf(c *cli.Command, sub string) []cli.Flag {
	return c.Subcommands[slices.IndexFunc(c.Subcommands, func(s *cli.Command) bool { return s.Name == sub })].Flags
}

func fits(f cli.Flag, kind config.Kind) bool {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return kind == config.Bool && f.Count == nil || kind == config.Count && f.Count != nil
	case *cli.IntFlag, *cli.Int64Flag:
		return kind == config.Number
	case *cli.GenericFlag:
		_, time := f.Value.(*cmdline.Duration)
		return kind == config.Text && time || kind == config.Size && !time
	case *cli.StringSliceFlag:
		return kind == config.List
	case *cli.StringFlag:
		return kind == config.Text || kind == config.Size && f.Name == "flows" || kind == config.Texts && f.Name == "hub"
	}
	return kind == config.Text
}

var configSection = regexp.MustCompile(`(?ms)^\.Ss (?:Above the tables|\[(listen|inbox|tty|call|jobs|hub-server|reach|notify|rooms|peers))[^\n]*\n(.*?)(?:^\.S[sh] |\z)`)

// TestManConfig wants the page to have all keys, and no others.
func TestManConfig(t *testing.T) {
	t.Parallel()
	page := readPage(t, "mesh-config.5")
	var got, want []string
	for len(page) > 0 {
		at := configSection.FindStringSubmatchIndex(page)
		if at == nil {
			break
		}
		prefix, body := "", page[at[4]:at[5]]
		if at[2] >= 0 {
			prefix = page[at[2]:at[3]] + "."
		}
		if prefix == "peers." || prefix == "jobs." || prefix == "rooms." {
			prefix += "*."
		}
		for line := range strings.Lines(body) {
			if names, ok := strings.CutPrefix(line, ".It Cm "); ok {
				for name := range strings.SplitSeq(strings.TrimSpace(names), " , ") {
					got = append(got, prefix+name)
				}
			}
		}
		page = page[at[5]:]
	}
	for _, s := range cmdline.Settings {
		want = append(want, s.Key)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the page has\n%q, the table\n%q", got, want)
	}
}
