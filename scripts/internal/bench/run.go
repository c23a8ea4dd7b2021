//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	feedPeriod   = 64 << 20 // the random data repeats after this
	readyTimeout = 10 * time.Second
	pollInterval = time.Millisecond
)

// usage is what one end used, its child processes included.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes
}

// result is one measured run.
type result struct {
	start      time.Duration // the receiver's, until it could be called
	wall       time.Duration // the sender's start to both exits
	send, recv usage
}

// runner starts the two ends of a tool and measures them.
type runner struct {
	dir  string
	self string // the feeder's program: this one
	runs int
}

func newRunner(dir string) (*runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &runner{dir: dir, self: self}, nil
}

// peakFloor returns the lowest peak that can be seen from here: a child shares
// this process's memory until it executes its own program, and the kernel
// counts that.
func peakFloor() (int64, error) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	return used(cmd).peak, nil
}

// feed writes size bytes of random data to stdout, after it has said on
// stderr that they are there.
func feed(size string) error {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	block := make([]byte, min(n, feedPeriod))
	if _, err := random().Read(block); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "ready")
	for n > 0 {
		m, err := os.Stdout.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}

// random returns the source of the fed data, the same in every run.
func random() io.Reader { return rand.NewChaCha8([32]byte{'m', 'e', 's', 'h'}) }

// verify sends a little through t and compares what comes out.
func (r *runner) verify(ctx context.Context, t *tool) error {
	out := filepath.Join(r.dir, "out")
	if _, err := r.run(ctx, t, 30*time.Second, checkBytes, out); err != nil {
		return err
	}
	got, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	want := make([]byte, checkBytes)
	if _, err := random().Read(want); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d other bytes came out than the %d that went in", len(got), len(want))
	}
	return nil
}

// run sends size bytes through t into the file out. Every process that it
// starts has ended when it returns.
func (r *runner) run(ctx context.Context, t *tool, limit time.Duration, size int64, out string) (res result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done in %v", limit))
	defer func() {
		cancel()
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}()

	r.runs++
	dir := filepath.Join(r.dir, strconv.Itoa(r.runs))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)

	sink, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return res, err
	}
	defer sink.Close()

	input, feeder, err := r.feeder(ctx, size)
	if err != nil {
		return res, err
	}
	defer feeder.stop()
	defer input.Close() // before stop: it ends a feeder that nobody reads

	ends, err := t.open(run{dir: dir, out: out})
	if err != nil {
		return res, err
	}
	begin := time.Now()
	recv, err := start(ctx, ends.recv, nil, sink)
	if err != nil {
		return res, err
	}
	defer recv.stop()
	if err := recv.await(ctx, ends.ready); err != nil {
		return res, err
	}
	res.start = time.Since(begin)

	begin = time.Now()
	send, err := start(ctx, ends.send(), input, nil)
	if err != nil {
		return res, err
	}
	defer send.stop()
	input.Close()
	if err := send.wait(); err != nil {
		return res, fmt.Errorf("sender: %w", err)
	}
	end := send.ended
	if ends.daemon {
		settle(ctx, recv.cmd.Process.Pid)
		recv.stop()
	} else {
		if err := recv.wait(); err != nil {
			return res, fmt.Errorf("receiver: %w", err)
		}
		if recv.ended.After(end) {
			end = recv.ended
		}
	}
	res.wall = end.Sub(begin)
	res.send, res.recv = used(send.cmd), used(recv.cmd)
	if err := feeder.wait(); err != nil {
		return res, fmt.Errorf("the sender did not read everything: %w", err)
	}
	return res, nil
}

// feeder starts a feeder and returns the pipe to read from, when the data is
// ready.
func (r *runner) feeder(ctx context.Context, size int64) (*os.File, *process, error) {
	said, say, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer said.Close()
	input, feed, err := os.Pipe()
	if err != nil {
		say.Close()
		return nil, nil, err
	}
	cmd := exec.Command(r.self, "feed", strconv.FormatInt(size, 10))
	cmd.Stderr = say
	p, err := start(ctx, cmd, nil, feed)
	say.Close()
	feed.Close()
	if err == nil {
		if _, err = said.Read(make([]byte, 16)); err == nil {
			return input, p, nil
		}
		p.stop()
	}
	input.Close()
	return nil, nil, fmt.Errorf("feeder: %w", err)
}

// process is a started command, alone in its process group.
type process struct {
	cmd   *exec.Cmd
	log   string        // the path of what it says on stderr
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
