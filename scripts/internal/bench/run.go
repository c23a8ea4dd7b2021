//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"mesh/scripts/internal/host"
)

const feedPeriod = 64 << 20 // the random data repeats after this

// result is one measured run.
type result struct {
	start      time.Duration // the receiver's, until it could be called
	wall       time.Duration // the sender's start, or that of the tar before it, to all exits
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

// run lets t do k once. Every process that it starts has ended when it
// returns, and what came out is deleted.
func (r *runner) run(ctx context.Context, t *tool, k task) (res result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.limit, fmt.Errorf("not done in %v", k.limit))
	defer func() {
		cancel()
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}()

	r.runs++
	job := run{dir: filepath.Join(r.dir, strconv.Itoa(r.runs)), tree: k.tree, out: os.DevNull}
	if err := os.Mkdir(job.dir, 0o700); err != nil {
		return res, err
	}
	defer os.RemoveAll(job.dir)
	if k.place != "" {
		job.out = filepath.Join(k.place, "out")
		defer os.RemoveAll(job.out)
		syscall.Sync() // what the run before left to write is not this one's
		if err := warm(job.out, k.size); err != nil {
			return res, err
		}
	}
	if k.tree != "" {
		if err := os.Mkdir(job.out, 0o700); err != nil {
			return res, err
		}
	}
	ends, err := t.open(job)
	if err != nil {
		return res, err
	}

	stdout, unpack, err := sink(ctx, k, ends, job.out)
	if err != nil {
		return res, err
	}
	if unpack != nil {
		defer unpack.Stop()
	}
	defer stdout.Close()

	recv, err := host.Start(ctx, ends.recv, nil, stdout)
	if err != nil {
		return res, err
	}
	defer recv.Stop()
	stdout.Close()
	if err := recv.Await(ctx, ends.ready); err != nil {
		return res, err
	}
	res.start = time.Since(recv.Began)

	stdin, source, err := r.source(ctx, k, ends)
	if err != nil {
		return res, err
	}
	if source != nil {
		defer source.Stop()
	}
	defer stdin.Close() // before stop: it ends a source that nobody reads

	send, err := host.Start(ctx, ends.send(), stdin, nil)
	if err != nil {
		return res, err
	}
	defer send.Stop()
	stdin.Close()

	begin, end := send.Began, time.Time{}
	if k.tree != "" && source != nil {
		begin = source.Began
	}
	for _, p := range []struct {
		name string
		*host.Process
	}{{"sender", send}, {"receiver", recv}, {"unpacking", unpack}, {"the sender did not read everything", source}} {
		if p.Process == nil || p.Process == recv && ends.daemon {
			continue
		}
		if err := p.Wait(); err != nil {
			return res, fmt.Errorf("%s: %w", p.name, err)
		}
		if p.Ended.After(end) {
			end = p.Ended
		}
	}
	if ends.daemon {
		settle(ctx, recv.Cmd.Process.Pid)
		recv.Stop()
	}
	res.wall = end.Sub(begin)
	res.send, res.recv = used(send.Cmd), used(recv.Cmd)
	if k.check != nil {
		return res, k.check(ctx, job.out)
	}
	return res, nil
}

// warm writes size bytes to a file and deletes it, so that every run finds as
// much memory at hand: a virtual machine may have given to its host what was
// free for some seconds, and to get it back costs 1 s for each GiB.
func warm(name string, size int64) error {
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

// sink returns what the receiver's stdout shall be, nil for nothing, and the
// process that reads it, if there is one.
func sink(ctx context.Context, k task, e ends, out string) (*os.File, *host.Process, error) {
	if e.stores {
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
	p, err := host.Start(ctx, exec.Command("tar", "xC", out), input, nil)
	if err != nil {
		output.Close()
	}
	return output, p, err
}

// source returns what the sender's stdin shall be, nil for nothing, and the
// process that fills it: a feeder that is ready, or a tar that has just begun.
func (r *runner) source(ctx context.Context, k task, e ends) (*os.File, *host.Process, error) {
	if e.walks {
		return nil, nil, nil
	}
	if k.tree == "" {
		return r.feeder(ctx, k.size)
	}
	input, output, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer output.Close()
	p, err := host.Start(ctx, exec.Command("tar", "cC", filepath.Dir(k.tree), filepath.Base(k.tree)), nil, output)
	if err != nil {
		input.Close()
	}
	return input, p, err
}

// feeder starts a feeder and returns the pipe to read from, when the data is
// ready.
func (r *runner) feeder(ctx context.Context, size int64) (*os.File, *host.Process, error) {
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
	p, err := host.Start(ctx, cmd, nil, feed)
	say.Close()
	feed.Close()
	if err == nil {
		if _, err = said.Read(make([]byte, 16)); err == nil {
			return input, p, nil
		}
		p.Stop()
	}
	input.Close()
	return nil, nil, fmt.Errorf("feeder: %w", err)
}
