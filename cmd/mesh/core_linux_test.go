package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNoCoreDump crashes a tool that has a key and a token in memory. A shell that
// crashes in the same way shows that the system makes core dumps at all.
func TestNoCoreDump(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		want bool
	}{
		{"exec sleep 60", true},
		{"exec mesh-recv --listen 127.0.0.1:0 --token-file tok", false},
		{"exec mesh-tty --share --headless --listen 127.0.0.1:0 --token-file token -- sh -c 'echo 1 >tok; exec sleep 60'", false},
	} {
		dir := t.TempDir()
		p := begin(t, dir, func(c *exec.Cmd) { c.Env = append(c.Env, "GOTRACEBACK=crash") }, "sh", "-c", "ulimit -c unlimited || exit 9; touch started; "+tt.line)
		ready := "tok"
		if tt.want {
			ready = "started"
		}
		poll(t, ready, func() bool {
			_, err := os.Stat(filepath.Join(dir, ready))
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.Process.Pid))
			// While its command starts, a tool has the limit of the command.
			return err == nil && string(comm) != "sh\n" && (tt.want || coreLimit(p) == "1") || ended(p)
		})
		_ = p.Process.Signal(syscall.SIGABRT)
		<-p.ended
		status := p.ProcessState.Sys().(syscall.WaitStatus)
		if tt.want && !status.CoreDump() {
			t.Skipf("this system makes no core dumps: %v", p.ProcessState)
		}
		cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
		if !status.Signaled() || status.CoreDump() != tt.want || !tt.want && len(cores) > 0 {
			t.Errorf("%s: got %v, core dump %v (%q), want %v: %s", tt.line, p.ProcessState, status.CoreDump(), cores, tt.want, p.stderr.String())
		}
	}
}

// TestCommandsKeepLimit wants each command of a tool to have the limit for core dumps
// that the tool was given.
func TestCommandsKeepLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"0", "8", "unlimited"} {
		r := newStateRun(t, "x", "mkdir in")
		set := "ulimit -S -c " + limit + " || exit 9; "
		const listen = " --listen 127.0.0.1:0 --token-file "
		daemon := begin(t, r.dir, nil, "sh", "-c", set+"exec mesh-listen"+listen+"tok -- sh -c 'ulimit -c >listen; cat'")
		inbox := begin(t, r.dir, nil, "sh", "-c", set+"exec mesh-listen --inbox in --name f --on-receive 'ulimit -c >inbox'"+listen+"tok2")
		await(t, filepath.Join(r.dir, "tok"))
		await(t, filepath.Join(r.dir, "tok2"))
		code, text := r.run(t, set+"ulimit -c >given; mesh-cat @tok -- sh -c 'ulimit -c >cat' && echo x | mesh-cat @tok2 && "+
			"mesh-tty --share --headless"+listen+"tok3 -- sh -c 'ulimit -c >tty'")
		if strings.Contains(text, "ulimit") {
			t.Skip(text)
		}
		for _, name := range []string{"listen", "cat", "inbox", "tty"} {
			if got, want := string(r.read(t, name)), string(r.read(t, "given")); got != want || want != limit+"\n" {
				t.Errorf("%s: got the limit %q, want %q (%v: %s)", name, got, want, code, text)
			}
		}
		for _, p := range []*aTool{daemon, inbox} {
			poll(t, "a limit of 1 byte", func() bool { return coreLimit(p) == "1" })
		}
	}
}

// coreLimit returns the limit for core dumps of a process as /proc shows it.
func coreLimit(p *aTool) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.Process.Pid))
	_, line, _ := strings.Cut(string(text), "Max core file size")
	if fields := strings.Fields(line); len(fields) > 0 {
		return fields[0]
	}
	return ""
}
