//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"mesh/scripts/internal/measure"
)

const feedPeriod = 64 << 20 // the random data repeats after this

// result is one measured run.
type result struct {
	start      time.Duration // from the receiver's start until it accepts the sender
	wall       time.Duration // from the sender's start, or that of its tar, to the last exit
	send, recv measure.Usage
}

// runner starts the two ends of a tool and measures them.
type runner struct {
	dir  string
	self string // this program, which is also the feeder
	runs int
}

func newRunner(dir string) (*runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &runner{dir: dir, self: self}, nil
}

// setup prepares t.
func (t *tool) setup(ctx context.Context) error {
	if err := os.MkdirAll(t.dir, 0o700); err != nil || t.Setup == nil {
		return err
	}
	return t.Setup(ctx, t.dir)
}

// run does k once with t. When it returns, every process that it has started has
// ended and the output is deleted.
func (r *runner) run(ctx context.Context, t *tool, k task) (res result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.limit, fmt.Errorf("not done in %v", k.limit))
	defer func() {
		cancel()
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}()
	r.runs++
	job := measure.LocalJob(filepath.Join(r.dir, strconv.Itoa(r.runs)))
	job.Home, job.Tree = t.dir, k.tree
	if err := os.Mkdir(job.Dir, 0o700); err != nil {
		return res, err
	}
	defer os.RemoveAll(job.Dir)
	if k.place != "" {
		job.Out = filepath.Join(k.place, "out")
		defer os.RemoveAll(job.Out)
		if err := prepare(job.Out, k); err != nil {
			return res, err
		}
	}
	ends, err := t.Open(job)
	if err != nil {
		return res, err
	}
	if res, err = r.time(ctx, k, ends, job.Out); err != nil || k.check == nil {
		return res, err
	}
	return res, k.check(ctx, job.Out)
}

// prepare brings the disk into the same state before each run, and makes the
// destination of a folder.
func prepare(out string, k task) error {
	syscall.Sync() // the data of the run before must not be written during this one
	if err := warm(out, k.size); err != nil || k.tree == "" {
		return err
	}
	return os.Mkdir(out, 0o700)
}

// warm writes size bytes to a file and deletes it, so that every run finds the
// same amount of free memory: a virtual machine may have returned free memory to
// its host, and getting it back takes 1 s for each GiB.
func warm(name string, size measure.Size) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	defer file.Close()
	for block := make([]byte, checkBytes); size > 0; size -= checkBytes {
		if _, err := file.Write(block[:min(size, checkBytes)]); err != nil {
			return err
		}
	}
	return nil
}

// time starts both ends with what feeds and drains them, and waits for the exits.
func (r *runner) time(ctx context.Context, k task, ends measure.Ends, out string) (res result, err error) {
	stdout, unpack, err := sink(ctx, k, ends, out)
	if err != nil {
		return res, err
	}
	if unpack != nil {
		defer unpack.Stop()
	}
	defer stdout.Close()
	recv, err := measure.StartReady(ctx, ends.Recv, stdout, ends.Ready)
	if err != nil {
		return res, err
	}
	defer recv.Stop()
	stdout.Close()
	res.start = time.Since(recv.Began)

	stdin, source, err := r.source(ctx, k, ends)
	if err != nil {
		return res, err
	}
	if source != nil {
		defer source.Stop()
	}
	defer stdin.Close() // before Stop: it ends a source that nothing reads
	send, err := measure.Start(ctx, ends.Send, stdin, nil)
	if err != nil {
		return res, err
	}
	defer send.Stop()
	stdin.Close()

	began := send.Began
	if k.tree != "" && source != nil {
		began = source.Began
	}
	waits := []exit{{"sender", send}, {"receiver", recv}, {"unpacking", unpack}, {"the sender did not read everything", source}}
	if ends.Daemon {
		waits[1].Process = nil
	}
	ended, err := lastExit(waits)
	if err != nil {
		return res, err
	}
	if ends.Daemon {
		recv.AwaitChildren(ctx)
		recv.Stop()
	}
	return result{start: res.start, wall: ended.Sub(began), send: send.Usage(), recv: recv.Usage()}, nil
}

// exit is a process, if there is one, and what its failure means.
type exit struct {
	what string
	*measure.Process
}

// lastExit waits for all processes to succeed, and returns when the last ended.
func lastExit(all []exit) (last time.Time, err error) {
	for _, p := range all {
		if p.Process == nil {
			continue
		}
		if err := p.Wait(); err != nil {
			return last, fmt.Errorf("%s: %w", p.what, err)
		}
		if p.Ended.After(last) {
			last = p.Ended
		}
	}
	return last, nil
}

// sink returns the receiver's stdout, nil if the receiver stores the data itself,
// and the process that reads it, if there is one.
func sink(ctx context.Context, k task, e measure.Ends, out string) (*os.File, *measure.Process, error) {
	if e.Stores {
		return nil, nil, nil
	}
	if k.tree == "" {
		file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		return file, nil, err
	}
	input, output, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer input.Close()
	p, err := measure.Start(ctx, exec.Command("tar", "xC", out), input, nil)
	if err != nil {
		output.Close()
	}
	return output, p, err
}

// source returns the sender's stdin, nil if the sender reads the folder itself,
// and the process that fills it: a feeder that is ready, or a tar just started.
func (r *runner) source(ctx context.Context, k task, e measure.Ends) (*os.File, *measure.Process, error) {
	if e.Walks {
		return nil, nil, nil
	}
	input, output, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer output.Close()
	var p *measure.Process
	if k.tree == "" {
		p, err = r.startFeeder(ctx, output, k.size)
	} else {
		p, err = measure.Start(ctx, exec.Command("tar", "cC", filepath.Dir(k.tree), filepath.Base(k.tree)), nil, output)
	}
	if err != nil {
		input.Close()
		return nil, nil, err
	}
	return input, p, nil
}

// startFeeder starts a feeder that writes to output, and waits until its data is
// in memory.
func (r *runner) startFeeder(ctx context.Context, output *os.File, size measure.Size) (*measure.Process, error) {
	ready, stderr, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	cmd := exec.Command(r.self, "feed", strconv.FormatInt(int64(size), 10))
	cmd.Stderr = stderr
	p, err := measure.Start(ctx, cmd, nil, output)
	stderr.Close()
	if err != nil {
		return nil, fmt.Errorf("feeder: %w", err)
	}
	if _, err := ready.Read(make([]byte, 16)); err != nil {
		p.Stop()
		return nil, fmt.Errorf("feeder: %w", err)
	}
	return p, nil
}

// feed is the feeder: it writes so many random bytes to stdout. Before that it
// reports on stderr that the data is in memory.
func feed(args []string) error {
	n, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	block := make([]byte, min(n, feedPeriod))
	if _, err := measure.Random().Read(block); err != nil {
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
