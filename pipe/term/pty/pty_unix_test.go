//go:build !windows

package pty_test

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mesh/pipe/term/pty"
	"mesh/proto"
)

func start(t *testing.T, script string) *pty.Process {
	t.Helper()
	p, err := pty.Start(pty.Options{Command: []string{"/bin/sh", "-c", script}, Env: os.Environ(), Cols: 93, Rows: 27})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestExit(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]pty.Exit{
		"exit 0":          {},
		"exit 7":          {Code: 7},
		"exit 255":        {Code: 255},
		"kill -TERM $$":   {Code: 143, Signal: 15},
		"kill -KILL $$":   {Code: 137, Signal: 9},
		"kill -HUP $$":    {Code: 129, Signal: 1},
		"trap '' HUP; :":  {},
		"echo; exit 1 >&": {Code: 2},
	} {
		p := start(t, script)
		if _, err := io.ReadAll(p); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if got := p.Wait(); got != want {
			t.Errorf("%s: got %+v, want %+v", script, got, want)
		}
	}
}

// The size and the settings are in place when the command starts.
func TestTerminal(t *testing.T) {
	t.Parallel()
	p := start(t, `stty size; stty -a | tr ' ;' '\n\n' | grep -x -- -\\?iutf8; tty >/dev/null && echo tty`)
	out, err := io.ReadAll(p)
	if want := "27 93\r\niutf8\r\ntty\r\n"; string(out) != want || err != nil {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
}

func TestTypeAndResize(t *testing.T) {
	t.Parallel()
	p := start(t, `stty -echo; trap 'stty size' WINCH; echo ready; read line; echo "<$line>"; while :; do sleep 0.01; done`)
	read := func(want string) {
		t.Helper()
		var got []byte
		b := make([]byte, 100)
		for !strings.Contains(string(got), want) {
			n, err := p.Read(b)
			if got = append(got, b[:n]...); err != nil {
				t.Fatalf("got %q (%v), want %q", got, err, want)
			}
		}
	}
	read("ready")
	if _, err := p.Write([]byte("grüße\n")); err != nil {
		t.Fatal(err)
	}
	read("<grüße>")
	if err := p.Resize(50, 20); err != nil {
		t.Fatal(err)
	}
	read("20 50")
}

// The keys that stop and continue the output are those of the terminal's settings.
func TestFlow(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]pty.Flow{
		"-ixon":                              {},
		"ixon stop ^S start ^Q -ixany -isig": {Stop: 0x13, Continue: []byte{0x11}},
		"ixon stop ^A start ^B ixany -isig":  {Stop: 1, Continue: []byte{2}, AnyOthers: true},
		"ixon stop ^S start ^Q -ixany isig intr ^C quit ^G susp ^Z": {Stop: 0x13, Continue: []byte{0x11, 3, 7, 26}},
		"ixon stop undef": {},
	} {
		p := start(t, "stty "+set+"; echo ready; read line")
		if _, err := io.ReadFull(p, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if got := p.Flow(); got.Stop != want.Stop || want.Stop != 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", set, got, want)
		}
	}
}

// Processes that a command has left behind may print for a while, and no longer.
func TestDrain(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	p := start(t, `(trap '' HUP; exec sleep 60) & yes | head -c 300000; echo end`)
	out, err := io.ReadAll(p)
	if err != nil || !bytes.HasSuffix(out, []byte("end\r\n")) || len(out) != 450005 {
		t.Errorf("got %d bytes (%v), want 450005", len(out), err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

// A command that ignores SIGHUP is killed.
func TestClose(t *testing.T) {
	t.Parallel()
	p := start(t, `trap '' HUP; echo ready; while :; do sleep 1; done`)
	if _, err := io.ReadFull(p, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if got := p.Wait(); got.Signal != 9 {
		t.Errorf("got %+v, want signal 9", got)
	}
	if _, err := io.Copy(io.Discard, p); err != nil {
		t.Errorf("read after the end: %v", err)
	}
}

func TestNoSuchCommand(t *testing.T) {
	t.Parallel()
	_, err := pty.Start(pty.Options{Command: []string{"no-such-command-here"}, Cols: 1, Rows: 1})
	if got := proto.CodeOf(err); got != proto.IO {
		t.Errorf("got %v (%v), want %v", got, err, proto.IO)
	}
}

// A job has the foreground from its start to its end; the command itself, a group that
// had the foreground before, and one that is unknown are no job.
func TestJob(t *testing.T) {
	t.Parallel()
	p := start(t, `set -m; read a; sh -c 'echo job; read b'; echo over; read c`)
	await := func(text string) {
		t.Helper()
		var got []byte
		for b := make([]byte, 100); !strings.Contains(string(got), text); {
			n, err := p.Read(b)
			if got = append(got, b[:n]...); err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
		}
	}
	shell := p.Foreground()
	if shell != p.Pid() || p.HasJob(shell) {
		t.Errorf("at the start group %d has the foreground, job: %v; want %d, false", shell, p.HasJob(shell), p.Pid())
	}
	_, _ = p.Write([]byte("\n"))
	await("job")
	job := p.Foreground()
	for before, want := range map[int]bool{shell: true, job: false, 0: false, 1 << 30: false} {
		if got := p.HasJob(before); got != want {
			t.Errorf("since %d: got job %v, want %v", before, got, want)
		}
	}
	_, _ = p.Write([]byte("\n"))
	await("over")
	if p.HasJob(shell) {
		t.Error("the job has ended, want none")
	}
	p.Close()
	if got := p.Foreground(); got != 0 || p.HasJob(shell) {
		t.Errorf("when closed group %d has the foreground, want 0", got)
	}
}
