package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/command"
)

// shell starts a shell that runs script with dir as $1.
func shell(t *testing.T, script, dir string, o command.Options) *command.Process {
	t.Helper()
	p, err := command.Start(t.Context(), []string{"sh", "-c", script, "sh", dir}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// gone waits until the process with the number has ended, or is a zombie.
func gone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		<-tick.C
	}
	t.Errorf("process %d still runs", pid)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		"true": 0, "exit 1": 1, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137, "kill -HUP $$": 129,
	} {
		p := shell(t, script, "", command.Options{})
		if got := p.Source().Status(); got != want {
			t.Errorf("%s: got status %d, want %d", script, got, want)
		}
		if got := p.OwnStatus(); got != want {
			t.Errorf("%s: got own status %d, want %d", script, got, want)
		}
		p.Stop()
		if got := p.OwnStatus(); got != want {
			t.Errorf("%s: got own status %d after Stop, want %d", script, got, want)
		}
	}
}

func TestNotThere(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("echo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"no-such-command", "/no/such/command", text, t.TempDir()} {
		err := command.Check([]string{name})
		xtest.WantCode(t, "Check", err, proto.IO)
		if err != nil && !strings.Contains(err.Error(), strconv.Quote(name)) {
			t.Errorf("got %v, want %q in it", err, name)
		}
		_, err = command.Start(t.Context(), []string{name}, command.Options{})
		xtest.WantCode(t, "Start", err, proto.IO)
	}
	xtest.WantCode(t, "Check", command.Check([]string{"sh"}), proto.OK)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(proto.Errorf(proto.Timeout, "too late"))
	_, err := command.Start(ctx, []string{"true"}, command.Options{})
	xtest.WantCode(t, "Start after the end", err, proto.Timeout)
}

func TestStreams(t *testing.T) {
	t.Parallel()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var stderr bytes.Buffer
	p := shell(t, "cat; echo $MESH_TEST; echo words >&2", "", command.Options{Stdin: in, Stderr: &stderr, Env: []string{"MESH_TEST=here"}})
	got, err := io.ReadAll(p.Source())
	if string(got) != "here\n" || err != nil {
		t.Errorf("got %q (%v), want here", got, err)
	}
	if status := p.Status(); status != 0 || stderr.String() != "words\n" {
		t.Errorf("got status %d and stderr %q, want 0 and words", status, stderr.String())
	}
}

// keep reads its input to the end, and only then creates the file with it.
const keep = `cat >"$1/part" && mv "$1/part" "$1/whole"`

// A command sees the end of its input if all of it arrived and the producer succeeded.
// Else it is stopped first.
func TestInputEnds(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 1, 143} {
		dir := t.TempDir()
		p := shell(t, keep, dir, command.Options{Group: true})
		sink := p.Sink()
		if _, err := io.WriteString(sink, "data"); err != nil {
			t.Fatal(err)
		}
		if err := sink.Finish(status); err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{true: 0, false: 143}[status == 0]
		if got := p.Status(); got != want {
			t.Errorf("producer's %d: got status %d, want %d", status, got, want)
		}
		got, err := os.ReadFile(filepath.Join(dir, "whole"))
		if whole := err == nil && string(got) == "data"; whole != (status == 0) {
			t.Errorf("producer's %d: got %q (%v)", status, got, err)
		}
	}
}

// A command that is stopped without Finish does not see an end of its input either.
func TestInputBreaks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := shell(t, keep, dir, command.Options{Group: true})
	if _, err := io.WriteString(p.Sink(), "data"); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	p.Stop()
	if got := p.Status(); got != 143 {
		t.Errorf("got status %d, want 143", got)
	}
	if got := p.OwnStatus(); got != 0 {
		t.Errorf("got own status %d, want 0: it was stopped", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "whole")); err == nil {
		t.Error("a part was taken for the whole")
	}
}

// A command that ends before its input closes Gone, and a write to it fails.
func TestInputNotTaken(t *testing.T) {
	t.Parallel()
	p := shell(t, "exit 0", "", command.Options{})
	sink := p.Sink()
	<-sink.Gone
	if _, err := sink.Write([]byte("data")); err == nil {
		t.Error("a write to a command that has ended succeeded")
	}
	if err := sink.Finish(0); err != nil {
		t.Errorf("Finish: %v", err)
	}
}

// The sender gets the failure of a command whose output is discarded.
func TestLastSink(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]proto.Code{
		"cat >/dev/null": proto.OK, "cat": proto.OK, "head -c 300000 /dev/zero; cat": proto.OK,
		"cat; exit 3": proto.Consumer, "cat; kill -KILL $$": proto.Consumer,
	} {
		sink := shell(t, script, "", command.Options{}).LastSink()
		if _, err := sink.Write([]byte("data")); err != nil {
			t.Fatal(err)
		}
		xtest.WantCode(t, script, sink.Finish(0), want)
	}
	for script, want := range map[string]proto.Code{"exit 0": proto.OK, "exit 3": proto.Consumer} {
		sink := shell(t, script, "", command.Options{}).LastSink()
		xtest.WantCode(t, script, sink.Leave(), want)
	}
	p := shell(t, "cat", "", command.Options{})
	p.CloseInput()
	if got := p.Status(); got != 0 {
		t.Errorf("after CloseInput: got status %d, want 0", got)
	}
}

// Stop also ends the children of the command, and a command that ignores SIGTERM.
func TestStop(t *testing.T) {
	t.Parallel()
	for what, script := range map[string]string{
		"child":           "sleep 1000 & echo $!; wait",
		"deaf":            "trap '' TERM; echo $$; while :; do sleep 1000; done",
		"deaf child":      "(trap '' TERM; while :; do sleep 1000; done) & echo $!; wait",
		"full pipe":       "echo $$; exec cat /dev/zero",
		"stopped":         "echo $$; kill -STOP $$",
		"reads its input": "echo $$; exec cat",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := shell(t, script, "", command.Options{Group: true})
			pid, err := firstNumber(p.Source())
			if err != nil {
				t.Fatal(err)
			}
			p.Stop()
			gone(t, pid)
			if got := p.Status(); got != 143 && got != 137 {
				t.Errorf("got status %d, want 143 or 137", got)
			}
		})
	}
}

func firstNumber(s *pipe.Source) (int, error) {
	buf := make([]byte, 64)
	n, err := s.Read(buf)
	line, _, found := strings.Cut(string(buf[:n]), "\n")
	if err == nil && !found {
		err = errors.New("no line")
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(line)
}

// The output of a command that is ended because its producer failed is still read to
// its end. To close the pipe here would be an error of this side.
func TestFailedProducerLeavesOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := shell(t, `printf out; : >"$1/printed"; cat`, dir, command.Options{Stderr: io.Discard, Group: true})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if _, err := os.Stat(filepath.Join(dir, "printed")); err == nil {
			break
		}
		<-tick.C
	}
	if err := p.Sink().Finish(1); err != nil {
		t.Errorf("finish: %v", err)
	}
	if got, err := io.ReadAll(p.Source()); string(got) != "out" || err != nil {
		t.Errorf("read %q (%v), want what it had printed, then the end", got, err)
	}
	if got := p.OwnStatus(); got != 0 {
		t.Errorf("its own status is %d, want 0: we have ended it", got)
	}
}

// A command that only a shell understands is refused with the shell's command line.
func TestCheckHints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cmd  []string
		hint string // "" for none
	}{
		{[]string{"sort | uniq"}, "-- sh -c 'sort | uniq'"},
		{[]string{"echo 'a'"}, `-- sh -c 'echo '\''a'\'''`},
		{[]string{"cat >f"}, "-- sh -c 'cat >f'"},
		{[]string{"LANG=C", "no-such-command"}, "env LANG=C no-such-command"},
		{[]string{"source", "f"}, "-- sh -c 'source …'"},
		{[]string{"no-such-command"}, ""},
		{[]string{"no-such-command", "a b"}, ""},
	} {
		err := command.Check(tt.cmd)
		xtest.WantCode(t, tt.cmd[0], err, proto.IO)
		if got := strings.Join(proto.Hints(err), " "); !strings.Contains(got, tt.hint) || tt.hint == "" && got != "" {
			t.Errorf("%q: got hint %q, want %q", tt.cmd, got, tt.hint)
		}
	}
}
