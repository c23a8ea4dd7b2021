//go:build unix

package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTimeout is how long a started process may take until it can be used.
	readyTimeout = 10 * time.Second

	stopTimeout  = 2 * time.Second
	pollInterval = time.Millisecond
)

// Process is a started command in a process group of its own.
type Process struct {
	Cmd   *exec.Cmd
	Began time.Time
	// Done is closed when the process has ended. Err, which includes its stderr,
	// and Ended are valid from then on.
	Done  <-chan struct{}
	Err   error
	Ended time.Time

	stderr *os.File // a file: children that outlive the process would hold a pipe open
	kill   context.CancelFunc
}

// Start starts cmd. When ctx ends, the whole process group is killed.
func Start(ctx context.Context, cmd *exec.Cmd, stdin, stdout *os.File) (*Process, error) {
	stderr, err := os.CreateTemp("", "mesh-measure-")
	if err != nil {
		return nil, err
	}
	os.Remove(stderr.Name())
	if stdin != nil { // a nil *os.File in an io.Reader is not nil
		cmd.Stdin = stdin
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	done := make(chan struct{})
	p := &Process{Cmd: cmd, Began: time.Now(), Done: done, stderr: stderr}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, stderr.Close())
	}
	ctx, p.kill = context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	go func() {
		defer close(done)
		p.Err = cmd.Wait()
		p.Ended = time.Now()
		stop()
		if p.Err != nil {
			p.Err = fmt.Errorf("%w: %s", p.Err, strings.TrimSpace(p.Said()))
		}
	}()
	return p, nil
}

// Said returns what p has written to stderr so far.
func (p *Process) Said() string {
	said, _ := io.ReadAll(io.NewSectionReader(p.stderr, 0, math.MaxInt64))
	return string(said)
}

// Wait waits until p has ended, by itself or because its context has.
func (p *Process) Wait() error {
	<-p.Done
	return p.Err
}

// Status waits until p has ended and returns its exit status as a shell does.
func (p *Process) Status() int {
	<-p.Done
	if ws, ok := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Stop ends p with SIGTERM, after 2 s with SIGKILL for its group, and waits.
func (p *Process) Stop() {
	select {
	case <-p.Done:
	default:
		syscall.Kill(p.Cmd.Process.Pid, syscall.SIGTERM)
	}
	select {
	case <-p.Done:
	case <-time.After(stopTimeout):
	}
	p.kill()
	<-p.Done
}

// StartReady starts cmd and waits until ready returns true, for readyTimeout at
// most. It stops a command that does not get ready. The command may be ready and
// end at once.
func StartReady(ctx context.Context, cmd *exec.Cmd, stdout *os.File, ready func(*Process) bool) (*Process, error) {
	p, err := Start(ctx, cmd, nil, stdout)
	if err != nil {
		return nil, err
	}
	timeout := time.After(readyTimeout)
	for err == nil && !ready(p) {
		select {
		case <-p.Done:
			if p.Err != nil || !ready(p) {
				err = errors.Join(errors.New("ended before it was ready"), p.Err)
			}
		case <-timeout:
			err = fmt.Errorf("not ready in %v", readyTimeout)
		case <-time.After(pollInterval):
		}
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", filepath.Base(cmd.Args[0]), err)
	}
	return p, nil
}

// Output runs cmd and returns its stdout. An error includes its stderr.
func Output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// CPU is the CPU time, in seconds, of p, which must have ended, and of those of
// its children that it has waited for.
func (p *Process) CPU() float64 {
	return (p.Cmd.ProcessState.UserTime() + p.Cmd.ProcessState.SystemTime()).Seconds()
}

// Peak is the peak memory of the same processes, in MiB. The kernel counts the
// memory of this program for p until p executes its own program, so that a peak
// is at least that of the program "true".
func (p *Process) Peak() float64 {
	peak := float64(p.Cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS == "darwin" {
		return peak / (1 << 20)
	}
	return peak / (1 << 10)
}

// AwaitChildren waits, for a second at most, until p has waited for all its
// children: only then CPU and Peak include theirs. It needs Linux's /proc.
func (p *Process) AwaitChildren() {
	pid := p.Cmd.Process.Pid
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(pollInterval) {
		if children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)); len(children) == 0 {
			return
		}
	}
}

// FreePort returns a TCP port of the loopback address that nothing uses now.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// Listens returns a function that reports whether something listens on a TCP port,
// in the network namespace of a process. It reads Linux's /proc, because a
// connection would count as a client. Elsewhere it guesses that 300 ms suffice.
func Listens(port string) func(*Process) bool {
	n, _ := strconv.ParseUint(port, 10, 16)
	local := fmt.Sprintf(":%04X ", n)
	return func(p *Process) bool {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", p.Cmd.Process.Pid))
		if err != nil {
			return time.Since(p.Began) > 300*time.Millisecond
		}
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, local) && strings.Contains(line, ":0000 0A ") { // 0A: listens
				return true
			}
		}
		return false
	}
}

// Exists returns a function that reports whether a file exists.
func Exists(name string) func(*Process) bool {
	return func(*Process) bool {
		_, err := os.Stat(name)
		return err == nil
	}
}

// Need returns a Missing error for the first program that is not installed.
func Need(programs ...string) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return Missing{name + " is not installed"}
		}
	}
	return nil
}
