//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	readyTimeout = 10 * time.Second
	pollInterval = 2 * time.Millisecond
)

// process is a started command, alone in its process group.
type process struct {
	cmd   *exec.Cmd
	said  bytes.Buffer  // on stderr
	done  chan struct{} // closed by start's goroutine, when err and ended are set
	err   error
	ended time.Time
	kill  context.CancelFunc
}

// start starts cmd. It is killed, with its group, when ctx ends.
func start(ctx context.Context, cmd *exec.Cmd, stdin, stdout *os.File) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	if stdin != nil { // a nil *os.File in an io.Reader is not nil
		cmd.Stdin = stdin
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	cmd.Stderr = &p.said
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ctx, p.kill = context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	go func() {
		p.err = cmd.Wait()
		p.ended = time.Now()
		stop()
		if p.err != nil {
			p.err = fmt.Errorf("%w: %s", p.err, strings.TrimSpace(p.said.String()))
		}
		close(p.done)
	}()
	return p, nil
}

// status is what p has ended with, as a shell says it.
func (p *process) status() int {
	<-p.done
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends p, kindly at first, and waits for it.
func (p *process) stop() {
	select {
	case <-p.done:
	default:
		syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM)
	}
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
	}
	p.kill()
	<-p.done
}

// await returns when ready says so, or when that can no longer be.
func (p *process) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("ended before it was ready: %w", p.err)
		case <-ctx.Done():
			return errors.New("not ready in time")
		case <-tick.C:
		}
	}
	return nil
}

// output runs cmd, which takes a few seconds at most, and returns its stdout.
func output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	cmd.Stdout = &out
	p, err := start(ctx, cmd, nil, nil)
	if err != nil {
		return "", err
	}
	<-p.done
	if p.err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), p.err)
	}
	return out.String(), nil
}
