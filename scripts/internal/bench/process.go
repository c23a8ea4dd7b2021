//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
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
	readyTimeout = 10 * time.Second
	pollInterval = time.Millisecond
)

// process is a started command, alone in its process group.
type process struct {
	cmd   *exec.Cmd
	log   string // the path of what it says on stderr
	began time.Time
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
	if cmd.Stderr == nil {
		log, err := os.CreateTemp("", "mesh-bench-log-")
		if err != nil {
			return nil, err
		}
		defer log.Close()
		p.log = log.Name()
		cmd.Stderr = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.began = time.Now()
	if err := cmd.Start(); err != nil {
		os.Remove(p.log)
		return nil, err
	}
	ctx, p.kill = context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	go func() {
		p.err = cmd.Wait()
		p.ended = time.Now()
		stop()
		if said, err := os.ReadFile(p.log); p.err != nil && err == nil {
			p.err = fmt.Errorf("%w: %s", p.err, strings.TrimSpace(string(said)))
		}
		os.Remove(p.log)
		close(p.done)
	}()
	return p, nil
}

// wait returns when p has ended by itself or with its context.
func (p *process) wait() error {
	<-p.done
	return p.err
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
			return fmt.Errorf("receiver ended before it was ready: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("receiver not ready in %v", readyTimeout)
		case <-tick.C:
		}
	}
	return nil
}

// usage is what one end used, its child processes included.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes
}

// used returns what cmd, which has ended, and its children used.
func used(cmd *exec.Cmd) usage {
	ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return usage{}
	}
	peak := int64(ru.Maxrss)
	if runtime.GOOS != "darwin" {
		peak <<= 10 // KiB everywhere else
	}
	return usage{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: peak}
}

// settle waits, a second at most, until the process pid has collected its
// children: only then are they in its own account. It needs Linux's /proc.
func settle(ctx context.Context, pid int) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for ctx.Err() == nil && hasChild(pid) {
		time.Sleep(pollInterval)
	}
}

func hasChild(pid int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, _ := os.ReadFile(name)
		// "PID (NAME) STATE PPID …", and NAME may hold anything.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}
