// Package cmdlinetest runs command lines through the parser for the tests of tools.
package cmdlinetest

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	status := cmdline.Main([]func() *cli.Command{construct}, nil, append([]string{"mesh", construct().Name}, args...), null, null, stderr)
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

// Main runs the tests of a tool with an empty state folder of their own, without
// MESH_PEER, and with the Go runtime as it is: tools that tune it would slow other
// tests down.
func Main(m *testing.M) {
	os.Exit(inEmptyHome(m))
}

func inEmptyHome(m *testing.M) int {
	home, err := os.MkdirTemp("", "mesh-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(home)
	for name, value := range map[string]string{
		"MESH_HOME": home, "MESH_PEER": "", "GOMAXPROCS": strconv.Itoa(runtime.GOMAXPROCS(0)), "GOGC": "100", "GOMEMLIMIT": "off",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// Result is how a run of a tool has ended.
type Result struct {
	Status         int
	Stdout, Stderr string
}

// Run runs a tool as its own process would run: stdin is a file with the given text.
func Run(t testing.TB, tool func() *cli.Command, stdin string, args ...string) Result {
	t.Helper()
	return Start(t, tool, stdin, args...)()
}

// Start is [Run], but returns at once. The returned function waits for the end.
func Start(t testing.TB, tool func() *cli.Command, stdin string, args ...string) func() Result {
	t.Helper()
	dir := t.TempDir()
	open := func(name, text string) *os.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	in, out, errOut := open("in", stdin), open("out", ""), open("err", "")
	status := make(chan int, 1) // sent once
	go func() {
		status <- cmdline.Main([]func() *cli.Command{tool}, nil, append([]string{"mesh", tool().Name}, args...), in, out, errOut)
	}()
	return func() Result {
		t.Helper()
		r := Result{Status: <-status}
		for f, to := range map[*os.File]*string{out: &r.Stdout, errOut: &r.Stderr} {
			text, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			*to = string(text)
		}
		return r
	}
}

// WaitFor waits until a file has the text.
func WaitFor(t testing.TB, file, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		if got, err := os.ReadFile(file); err == nil && strings.Contains(string(got), text) {
			return
		}
	}
	t.Fatalf("there is no %q in %s", text, file)
}
