//go:build unix

package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// ReadyTimeout is how long a started process may take until it can be used.
	ReadyTimeout = 10 * time.Second

	outputTimeout = 10 * time.Second
	stopTimeout   = 2 * time.Second
	pollInterval  = time.Millisecond
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

// Start starts cmd. When ctx ends, the whole process group is killed. Stderr is
// kept for Said, unless cmd has a Stderr.
func Start(ctx context.Context, cmd *exec.Cmd, stdin, stdout *os.File) (*Process, error) {
	stderr, err := os.CreateTemp("", "mesh-measure-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(stderr.Name()); err != nil {
		return nil, errors.Join(err, stderr.Close())
	}
	if stdin != nil { // a nil *os.File in an io.Reader is not nil
		cmd.Stdin = stdin
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = stderr
	}
	cmd.WaitDelay = time.Second
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

// StartReady starts cmd and waits until ready returns true, for ReadyTimeout at
// most. It stops a command that does not get ready.
func StartReady(ctx context.Context, cmd *exec.Cmd, stdout *os.File, ready func(*Process) bool) (*Process, error) {
	p, err := Start(ctx, cmd, nil, stdout)
	if err != nil {
		return nil, err
	}
	timeout := time.After(ReadyTimeout)
	for err == nil && !ready(p) {
		select {
		case <-p.Done:
			err = fmt.Errorf("ended before it was ready: %w", p.Err)
		case <-timeout:
			err = fmt.Errorf("not ready in %v", ReadyTimeout)
		case <-time.After(pollInterval):
		}
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", filepath.Base(cmd.Args[0]), err)
	}
	return p, nil
}

// Output runs cmd, for 10 s at most, and returns its stdout.
func Output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, outputTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd.Stdout = &out
	p, err := Start(ctx, cmd, nil, nil)
	if err != nil {
		return "", err
	}
	if err := p.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return out.String(), nil
}
