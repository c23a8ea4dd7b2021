// Package cmdlinetest runs command lines through the parser for the tests of tools.
package cmdlinetest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
)

// Read returns the options that read makes of a command line of the tool: args are
// the words after the name of the tool, the subcommand first. If the parser refuses
// them, the error has the exit status, and the text from standard error. Settings are
// read from the folder MESH_HOME.
func Read[O any](t testing.TB, tool func() *cli.Command, read func(*cli.Context) (O, error), args ...string) (O, error) {
	t.Helper()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()

	var o O
	ran := false
	construct := func() *cli.Command {
		c := tool()
		subcommand(c, args).Action = func(c *cli.Context) error {
			o, err = read(c)
			ran = true
			return nil
		}
		return c
	}
	status := cmdline.Main([]func() *cli.Command{construct}, append([]string{"mesh", construct().Name}, args...), null, null, stderr)
	if !ran && status == 0 {
		t.Fatalf("%q: the action did not run", args)
	}
	if !ran {
		text, _ := os.ReadFile(stderr.Name()) // "" is good enough for a failed test
		err = proto.Errorf(proto.Code(status), "%w", errors.New(strings.TrimSpace(string(text))))
	}
	return o, err
}

// subcommand returns the command that the first words of args name.
func subcommand(c *cli.Command, args []string) *cli.Command {
	for _, word := range args {
		i := slices.IndexFunc(c.Subcommands, func(s *cli.Command) bool { return s.Name == word })
		if i < 0 {
			break
		}
		c = c.Subcommands[i]
	}
	return c
}
