//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mesh/proto/token"
)

// field reads a field of the last JSON object in FILE, one a line, whose event is
// EVENT; for EVENT "-", of the last object. It sets ENVVAR to the value, or without
// ENVVAR prints it for the commands stdout and cmp:
//
//	field FILE EVENT NAME [ENVVAR]
//
// A string is printed as it is, any other value as JSON. With "!", the event or the
// field must be missing.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 || len(args) > 4 || neg && len(args) == 4 {
		ts.Fatalf("usage: [!] field FILE EVENT NAME [ENVVAR]")
	}
	file, event, name := args[0], args[1], args[2]
	value, found := "", false
	for line := range strings.Lines(ts.ReadFile(file)) {
		var object map[string]json.RawMessage
		ts.Check(json.Unmarshal([]byte(line), &object))
		if event != "-" && string(object["event"]) != fmt.Sprintf("%q", event) {
			continue
		}
		raw, ok := object[name]
		found = ok
		if value = string(raw); strings.HasPrefix(value, `"`) {
			ts.Check(json.Unmarshal(raw, &value))
		}
	}
	switch {
	case found == neg:
		ts.Fatalf("field: %s, event %s, field %s: found is %t", file, event, name, found)
	case len(args) == 4:
		ts.Setenv(args[3], value)
	case found:
		_, err := fmt.Fprintln(ts.Stdout(), value)
		ts.Check(err)
	}
}

// hides requires that no file contains six letters in a row of the last N letters of
// the token in the file TOKEN; 0 stands for all letters after the prefix:
//
//	hides N TOKEN FILE...
func hides(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: hides N TOKEN FILE...")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	secret := strings.TrimPrefix(strings.TrimSpace(ts.ReadFile(args[1])), token.Prefix)
	if n > 0 {
		secret = secret[len(secret)-n:]
	}
	const row = 6
	for _, file := range args[2:] {
		text := ts.ReadFile(file)
		for i := range len(secret) - row + 1 {
			if strings.Contains(text, secret[i:i+row]) {
				ts.Fatalf("hides: %s has %q of the token", file, secret[i:i+row])
			}
		}
	}
}

// started holds the background processes of one script by name, and the variables of
// their environment.
type started struct {
	processes map[string]*process
	variables []string
}

type startedKey struct{}

// process is a background process of a script.
type process struct {
	cmd   *exec.Cmd
	held  *os.File      // the end of its input that feed writes to, or nil
	ended chan struct{} // closed when it was waited for
}

func newStarted(env *testscript.Env) {
	s := &started{processes: make(map[string]*process), variables: []string{"MESH_PEER"}}
	for _, v := range env.Vars {
		name, _, _ := strings.Cut(v, "=")
		s.variables = append(s.variables, name)
	}
	env.Values[startedKey{}] = s
}

// start starts a command in the background; end waits for it:
//
//	start NAME [VAR=VALUE...] [<FILE | <-] command [args...]
//
// Its output is written to NAME.out and NAME.err without a buffer. Its input is
// /dev/null, FILE, or for <- a pipe that feed writes to.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME [VAR=VALUE...] [<FILE | <-] command [args...]")
	}
	s := ts.Value(startedKey{}).(*started)
	name, args := args[0], args[1:]
	if s.processes[name] != nil {
		ts.Fatalf("start: %s runs already", name)
	}
	var env []string
	for _, v := range s.variables {
		env = append(env, v+"="+ts.Getenv(v))
	}
	for len(args) > 1 && strings.Contains(args[0], "=") {
		env, args = append(env, args[0]), args[1:]
	}
	p := &process{ended: make(chan struct{})}
	var in *os.File
	var err error
	switch from, redirected := strings.CutPrefix(args[0], "<"); {
	case redirected && from == "-":
		in, p.held, err = os.Pipe()
		args = args[1:]
	case redirected:
		in, err = os.Open(ts.MkAbs(from))
		args = args[1:]
	}
	ts.Check(err)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Env = ts.MkAbs("."), append(env, "PWD="+ts.MkAbs("."))
	if in != nil {
		defer in.Close()
		p.cmd.Stdin = in
	}
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer out.Close()
	words, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer words.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, words
	ts.Check(p.cmd.Start())
	s.processes[name] = p
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says it all
	}()
	ts.Defer(func() {
		if p.held != nil {
			p.held.Close()
		}
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
}

// running returns a process of start.
func running(ts *testscript.TestScript, name string) *process {
	p := ts.Value(startedKey{}).(*started).processes[name]
	if p == nil {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

// end waits for a process of start and requires its exit status, 128+n if signal n
// killed it: end NAME STATUS. With "!", the process must still run.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg && len(args) == 1 {
		select {
		case <-running(ts, args[0]).ended:
			ts.Fatalf("end: %s has ended: %s", args[0], ts.ReadFile(args[0]+".err"))
		default:
		}
		return
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: end NAME STATUS, or ! end NAME")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	p := running(ts, args[0])
	select {
	case <-p.ended:
	case <-time.After(waitLimit):
		ts.Fatalf("end: %s still runs after %v: %s", args[0], waitLimit, ts.ReadFile(args[0]+".err"))
	}
	got := p.cmd.ProcessState.ExitCode()
	if w := p.cmd.ProcessState.Sys().(syscall.WaitStatus); w.Signaled() {
		got = 128 + int(w.Signal())
	}
	if got != want {
		ts.Fatalf("end: %s ended with %d, want %d: %s", args[0], got, want, ts.ReadFile(args[0]+".err"))
	}
	delete(ts.Value(startedKey{}).(*started).processes, args[0])
}

// feed writes FILE to the input of a process that was started with <-. Without FILE it
// ends that input: feed NAME [FILE].
func feed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: feed NAME [FILE]")
	}
	p := running(ts, args[0])
	switch {
	case p.held == nil:
		ts.Fatalf("feed: %s was not started with <-", args[0])
	case len(args) == 2:
		_, err := p.held.WriteString(ts.ReadFile(args[1]))
		ts.Check(err)
	default:
		ts.Check(p.held.Close())
		p.held = nil
	}
}

// sendSignal sends a signal to a process of start: signal NAME TERM.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM,
		"KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}
	if neg || len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME HUP|INT|TERM|KILL|STOP|CONT")
	}
	process := running(ts, args[0]).cmd.Process
	ts.Check(process.Signal(signals[args[1]]))
	if args[1] == "STOP" {
		waitStopped(ts, process.Pid)
	}
}

// waitStopped waits until a process has stopped, where /proc says so: on a busy machine
// its threads run on for a while.
func waitStopped(ts *testscript.TestScript, pid int) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(waitLimit); time.Now().Before(end); <-tick.C {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, _ := strings.Cut(string(text), ") "); err != nil || strings.HasPrefix(state, "T") {
			return
		}
	}
	ts.Fatalf("process %d has not stopped", pid)
}
