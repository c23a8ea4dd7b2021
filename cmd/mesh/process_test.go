//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
)

// aTool is a running tool with its state folder in dir.
type aTool struct {
	*exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{} // closed when it was waited for
}

// begin starts a tool, which [TestMain] has put into PATH. The tool is killed at the
// end of the test if it still runs. prepare sets its standard input and output.
func begin(t *testing.T, dir string, prepare func(*exec.Cmd), name string, args ...string) *aTool {
	t.Helper()
	p := &aTool{Cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.Dir, p.Env = dir, append(os.Environ(), "MESH_HOME="+filepath.Join(dir, "home"), "GOTRACEBACK=all")
	p.Stderr = &p.stderr
	if prepare != nil {
		prepare(p.Cmd)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // the state says it all
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
	})
	return p
}

// code waits for the end of the tool and returns its exit status, -1 for a signal.
func (p *aTool) code(t *testing.T) proto.Code {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(waitLimit):
		_ = p.Process.Signal(syscall.SIGQUIT)
		<-p.ended
		t.Fatalf("%v still ran after %v: %s", p.Args, waitLimit, p.stderr.Bytes())
	}
	return proto.Code(p.ProcessState.ExitCode())
}

// poll waits until f is true.
func poll(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(waitLimit); !f(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not in %v", what, waitLimit)
		}
	}
}

// await waits until a file exists and is not empty.
func await(t *testing.T, path string) {
	t.Helper()
	poll(t, path+" is there", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0
	})
}

// procStatus returns a number in /proc/PID/status, for example VmHWM in KiB; -1 if it
// is not there.
func procStatus(p *aTool, name string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	m := regexp.MustCompile(`(?m)^` + name + `:\s*(\d+)`).FindSubmatch(text)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// descriptors returns the number of open files of a process; -1 without /proc.
func descriptors(p *aTool) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Process.Pid))
	if err != nil {
		return -1
	}
	return len(entries)
}

// goroutines ends a tool with SIGQUIT, so that the Go runtime prints its goroutines,
// and returns their number.
func goroutines(p *aTool) int {
	_ = p.Process.Signal(syscall.SIGQUIT)
	<-p.ended
	return bytes.Count(p.stderr.Bytes(), []byte("\ngoroutine "))
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
