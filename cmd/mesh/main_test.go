//go:build unix

package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/rogpeppe/go-internal/testscript"

	"mesh/proto/identity"
)

var update = flag.Bool("update", false, "rewrite the files that cmp compares with in testdata/script")

// journalSocket is the path to which go-systemd sends. In a tool that a test starts, the
// variable of the environment sets it.
//
//go:linkname journalSocket github.com/coreos/go-systemd/v22/journal.journalSocket
var journalSocket string

const journalVariable = "MESH_TEST_JOURNAL"

// waitLimit limits waitfile. It is only reached when a test fails.
const waitLimit = 60 * time.Second

// TestMain makes the test binary mesh and every mesh-TOOL in the scripts.
func TestMain(m *testing.M) {
	commands := map[string]func(){"mesh": main}
	for _, construct := range tools {
		commands["mesh-"+construct().Name] = main
	}
	// Most tests wait for processes and their timeouts, not for a processor.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	if path := os.Getenv(journalVariable); path != "" {
		journalSocket = path
	}
	testscript.Main(ordinary{m}, commands)
}

// ordinary runs the tests with the environment of an ordinary shell.
type ordinary struct{ tests *testing.M }

// Run makes the tools start alike everywhere. A shell that runs the tests in the
// background ignores SIGINT, and the tools would inherit that. The race detector sleeps
// for a second at the end of each tool, unless GORACE says otherwise.
func (o ordinary) Run() int {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s) // a program that is started then has the default action
		}
	}
	if os.Getenv("GORACE") == "" {
		if err := os.Setenv("GORACE", "atexit_sleep_ms=10"); err != nil {
			panic(err)
		}
	}
	return o.tests.Run()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("MESH_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_STATE_HOME", "")
			env.Setenv("GORACE", os.Getenv("GORACE"))
			// Alice is another node. Scripts that change PATH find the tools by these variables.
			alice, err := identity.LoadKey(filepath.Join(env.WorkDir, "alice"))
			if err != nil {
				return err
			}
			env.Setenv("ALICE", alice.ID().String())
			for _, name := range []string{"cat", "recv", "listen", "token"} {
				path, err := exec.LookPath("mesh-" + name)
				if err != nil {
					return err
				}
				env.Setenv("MESH_"+strings.ToUpper(name), path)
			}
			newStarted(env)
			return nil
		},
		Cmds: scriptCommands(),
	})
}

// scriptCommands are the commands that scripts have beside those of testscript.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"status":   exitStatus,
		"waitfile": waitFile,
		"field":    field,
		"hides":    hides,
		"start":    start,
		"end":      end,
		"feed":     feed,
		"signal":   sendSignal,
	}
}

// exitStatus runs a command and requires its exit status: status 20 mesh-cat x.
// The commands stdout, stderr and stdin work as with exec. A command that a
// signal killed has no exit status and always fails.
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || !exit.Exited() {
			ts.Fatalf("status: %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("status: %s ended with %d, want %d", args[1], got, want)
	}
}

// waitFile waits until a file exists and is not empty or, with a regular
// expression, until it matches: waitfile err 'listening'.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: waitfile file [regexp]")
	}
	re := regexp.MustCompile(`(?s).`)
	if len(args) == 2 {
		var err error
		re, err = regexp.Compile(`(?m)` + args[1])
		ts.Check(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var data []byte
	var err error
	for end := time.Now().Add(waitLimit); time.Now().Before(end); <-tick.C {
		if data, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && re.Match(data) {
			return
		}
	}
	ts.Fatalf("waitfile: no %s in %v: %v\n%s", strings.Join(args, " with "), waitLimit, err, data)
}
