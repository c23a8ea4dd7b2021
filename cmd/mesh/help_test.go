package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
)

// TestHelpWidth wants the help of every command to fit a terminal of 80 columns, and the
// short one to fit 24 lines.
func TestHelpWidth(t *testing.T) {
	t.Parallel()
	for _, path := range commandPaths() {
		for _, flag := range []string{"--help", "-h"} {
			help := helpOf(t, path, flag)
			for line := range strings.Lines(help) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n >= 80 {
					t.Errorf("%q: got a line of %d columns, want less than 80: %s", path, n, line)
				}
			}
			if n := strings.Count(help, "\n"); flag == "-h" && n > 24 {
				t.Errorf("%q -h: got %d lines, want at most 24", path, n)
			}
		}
	}
}

// flagLine is a flag in a help text.
var flagLine = regexp.MustCompile(`(?m)^  (?:-., |    )--([a-z-]+)`)

// TestHelpGroups wants each flag in exactly one group of --help, and in -h three
// examples and about a dozen flags, for each tool with many flags.
func TestHelpGroups(t *testing.T) {
	t.Parallel()
	grouped := 0
	for _, construct := range tools {
		c := construct()
		if len(c.Flags) < 12 {
			continue
		}
		grouped++
		path := []string{"mesh", c.Name}
		all := helpOf(t, path, "--help")
		if strings.Contains(all, "\nother flags:") || strings.Contains(all, "\nflags:") {
			t.Errorf("%s --help: a flag is in no group:\n%s", c.Name, all)
		}
		for _, f := range c.Flags {
			if name := f.Names()[0]; len(regexp.MustCompile(`(?m)^  (-., |    )--`+name+`( |$)`).FindAllString(all, -1)) != 1 {
				t.Errorf("%s --help: want --%s once:\n%s", c.Name, name, all)
			}
		}
		short := helpOf(t, path, "-h")
		if n := len(flagLine.FindAllString(short, -1)); n < 6 || n > 12 {
			t.Errorf("%s -h: got %d flags, want about a dozen:\n%s", c.Name, n, short)
		}
		if _, examples, _ := strings.Cut(short, "\nexamples:\n"); strings.Count(strings.Split(examples, "\n\n")[0]+"\n", "\n") != 3 {
			t.Errorf("%s -h: want three examples:\n%s", c.Name, short)
		}
	}
	if grouped != 5 {
		t.Errorf("got %d tools with groups, want 5", grouped)
	}
}

// TestBriefHelp wants the usage and three examples of each tool in its -h, and no command
// or flag in an example that the tool does not have.
func TestBriefHelp(t *testing.T) {
	t.Parallel()
	for _, construct := range slices.Concat(tools, commands) {
		c := construct()
		typed := "mesh-" + c.Name
		if isCommand(c) {
			typed = "mesh " + c.Name
		}
		short := helpOf(t, []string{"mesh", c.Name}, "-h")
		_, rest, _ := strings.Cut(short, "\nexamples:\n")
		examples, rest, _ := strings.Cut(rest, "\n\n")
		if strings.Count(examples, typed) < 3 || strings.Count(examples, "\n") != 2 || rest == "" {
			t.Errorf("%s -h: want three examples, and the flags or subcommands after them:\n%s", typed, short)
		}
		for _, m := range regexp.MustCompile(`(?m)mesh-`+c.Name+` ([a-z]+)`).FindAllStringSubmatch(examples, -1) {
			if len(c.Subcommands) > 0 && c.Subcommands[0] != nil && !slices.ContainsFunc(c.Subcommands, func(s *cli.Command) bool { return s.Name == m[1] }) {
				t.Errorf("mesh-%s -h: there is no subcommand %s", c.Name, m[1])
			}
		}
	}
}

// isCommand reports whether c is a command of the toolbox, and no tool.
func isCommand(c *cli.Command) bool {
	return slices.ContainsFunc(commands, func(construct func() *cli.Command) bool { return construct().Name == c.Name })
}

// helpOf returns what a command prints with a flag.
func helpOf(t *testing.T, path []string, flag string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "help"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if status := cmdline.Main(tools, commands, append(path[:len(path):len(path)], flag), os.Stdin, out, os.Stderr); status != 0 {
		t.Errorf("%q: got status %d", path, status)
	}
	help, err := os.ReadFile(out.Name())
	if err != nil || len(help) == 0 {
		t.Errorf("%q: got no help, %v", path, err)
	}
	return string(help)
}

// commandPaths lists the words that call each command, mesh first.
func commandPaths() [][]string {
	paths := [][]string{{"mesh"}}
	var walk func(path []string, c *cli.Command)
	walk = func(path []string, c *cli.Command) {
		path = append(path[:len(path):len(path)], c.Name)
		paths = append(paths, path)
		for _, s := range c.Subcommands {
			walk(path, s)
		}
	}
	for _, construct := range slices.Concat(tools, commands) {
		walk([]string{"mesh"}, construct())
	}
	return paths
}
