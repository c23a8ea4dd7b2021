//go:build unix

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// ReadyTimeout is how long what was started may take until it can be used.
	ReadyTimeout = 10 * time.Second

	stopTimeout  = 2 * time.Second
	pollInterval = time.Millisecond
)

// Process is a started command, alone in its process group.
type Process struct {
	Cmd   *exec.Cmd
	Began time.Time
	// Done is closed when the process has ended. Only then may Err, which has
	// what it said on stderr, and Ended be read.
	Done  <-chan struct{}
	Err   error
	Ended time.Time

	words *os.File // its stderr: a file, since a child that it leaves behind would hold a pipe open
	kill  context.CancelFunc
}

// Start starts cmd. It is killed, with its group, when ctx ends. What it says is
// kept, but for a cmd with a Stderr of its own.
func Start(ctx context.Context, cmd *exec.Cmd, stdin, stdout *os.File) (*Process, error) {
	words, err := os.CreateTemp("", "mesh-measure-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(words.Name()); err != nil {
		return nil, errors.Join(err, words.Close())
	}
	if stdin != nil { // a nil *os.File in an io.Reader is not nil
		cmd.Stdin = stdin
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = words
	}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	done := make(chan struct{})
	p := &Process{Cmd: cmd, Began: time.Now(), Done: done, words: words}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, words.Close())
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

// Said is what p has said on stderr up to now.
func (p *Process) Said() string {
	said, _ := io.ReadAll(io.NewSectionReader(p.words, 0, math.MaxInt64))
	return string(said)
}

// Wait returns when p has ended by itself or with its context.
func (p *Process) Wait() error {
	<-p.Done
	return p.Err
}

// Status waits, and is what p has ended with, as a shell says it.
func (p *Process) Status() int {
	<-p.Done
	if ws, ok := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Stop ends p, kindly at first, and waits for it.
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

// Await returns when ready says so, or when that can no longer be; it waits
// ReadyTimeout at most.
func (p *Process) Await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.Done:
			return fmt.Errorf("ended before it was ready: %w", p.Err)
		case <-ctx.Done():
			return fmt.Errorf("not ready in %v", ReadyTimeout)
		case <-tick.C:
		}
	}
	return nil
}
