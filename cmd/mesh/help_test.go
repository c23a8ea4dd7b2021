package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
)

// TestHelpWidth wants the help of every command to fit a terminal of 80 columns.
func TestHelpWidth(t *testing.T) {
	t.Parallel()
	for _, path := range commandPaths() {
		out, err := os.Create(filepath.Join(t.TempDir(), "help"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if status := cmdline.Main(tools, append(path, "--help"), os.Stdin, out, os.Stderr); status != 0 {
			t.Errorf("%q: got status %d", path, status)
		}
		help, err := os.ReadFile(out.Name())
		if err != nil || len(help) == 0 {
			t.Errorf("%q: got no help, %v", path, err)
		}
		for line := range strings.Lines(string(help)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n >= 80 {
				t.Errorf("%q: got a line of %d columns, want less than 80: %s", path, n, line)
			}
		}
	}
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
	for _, construct := range tools {
		walk([]string{"mesh"}, construct())
	}
	return paths
}
