//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"mesh/scripts/internal/measure"
)

const feedPeriod = 64 << 20 // the random data repeats after this

// prepare brings the machine into the same state before each run, and makes the
// destination of a folder. The data of the run before must not be written during
// this one. And every run must find the same amount of free memory: a virtual
// machine may have returned free memory to its host, and getting it back takes 1 s
// for each GiB.
const prepare = `sync; head -c "$1" /dev/zero >"$0" && rm "$0" && { [ -z "$2" ] || mkdir "$0"; }`

// run does k once with t, adds the figures or compares the output, and deletes it.
func (s settings) run(ctx context.Context, t *measure.Tool, k task) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.limit, fmt.Errorf("%s: not done in %v", k.title, k.limit))
	defer cancel()
	dir, err := os.MkdirTemp(s.Dir, "run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	job := measure.LocalJob(dir)
	job.Home, job.Tree = filepath.Join(s.Dir, "of-"+t.Name), k.tree
	if k.place != "" {
		job.Out = filepath.Join(k.place, "out")
		defer os.RemoveAll(job.Out)
		if _, err := measure.Output(exec.Command("sh", "-c", prepare, job.Out, strconv.Itoa(int(k.size)), k.tree)); err != nil {
			return err
		}
	}
	ends, err := t.Open(job)
	if err != nil {
		return err
	}
	figures, err := k.time(ctx, ends, job.Out)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s: %w", k.title, err)
	case k.check != "":
		_, err := measure.Output(exec.Command("sh", "-c", k.check, job.Out))
		return err
	}
	for what, figure := range figures {
		t.Add(what, figure)
	}
	return nil
}

// time starts both ends with what feeds and drains them, and waits for the exits.
// If one fails, all are killed.
func (k task) time(ctx context.Context, e measure.Ends, out string) (figures map[string]float64, err error) {
	var send, recv, unpack, source *measure.Process
	ctx, kill := context.WithCancel(ctx)
	defer func() {
		kill()
		for _, p := range []*measure.Process{send, recv, unpack, source} {
			if p != nil {
				<-p.Done
			}
		}
	}()
	stdout, unpack, err := k.sink(ctx, e, out)
	if err != nil {
		return nil, err
	}
	recv, err = measure.StartReady(ctx, e.Recv, stdout, e.Ready)
	stdout.Close()
	if err != nil {
		return nil, err
	}
	ready := time.Since(recv.Began)
	stdin, source, err := k.source(ctx, e)
	if err != nil {
		return nil, err
	}
	send, err = measure.Start(ctx, e.Send, stdin, nil)
	stdin.Close()
	if err != nil {
		return nil, err
	}
	began, ended := send.Began, send.Began
	if k.tree != "" && source != nil {
		began = source.Began
	}
	for i, p := range []*measure.Process{send, recv, unpack, source} {
		if p == nil || p == recv && e.Daemon {
			continue
		}
		if err := p.Wait(); err != nil {
			return nil, fmt.Errorf("%s: %w", []string{"sender", "receiver", "unpacking", "the sender did not read everything"}[i], err)
		}
		if p.Ended.After(ended) {
			ended = p.Ended
		}
	}
	if e.Daemon {
		recv.AwaitChildren()
		recv.Stop()
	}
	return map[string]float64{
		k.name + wall: ended.Sub(began).Seconds(), k.name + start: ready.Seconds(),
		k.name + sendCPU: send.CPU(), k.name + recvCPU: recv.CPU(), k.name + bothCPU: send.CPU() + recv.CPU(),
		sendPeak: send.Peak(), recvPeak: recv.Peak(),
	}, nil
}

// sink returns the receiver's stdout, nil if the receiver stores the data itself,
// and the process that reads it, if there is one.
func (k task) sink(ctx context.Context, e measure.Ends, out string) (*os.File, *measure.Process, error) {
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
	return output, p, err
}

// source returns the sender's stdin, nil if the sender reads the folder itself,
// and the process that fills it: a feeder that is ready, or a tar just started.
func (k task) source(ctx context.Context, e measure.Ends) (*os.File, *measure.Process, error) {
	if e.Walks {
		return nil, nil, nil
	}
	input, output, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer output.Close()
	if k.tree != "" {
		p, err := measure.Start(ctx, exec.Command("tar", "cC", filepath.Dir(k.tree), filepath.Base(k.tree)), nil, output)
		return input, p, err
	}
	fd := int32(input.Fd())
	p, err := measure.StartReady(ctx, exec.Command(measure.Self(), "feed", strconv.Itoa(int(k.size))), output, func(*measure.Process) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: fd, Events: unix.POLLIN}}, 0)
		return n == 1 && err == nil
	})
	return input, p, err
}

// feed is the feeder: it writes so many random bytes to stdout. The first of them
// show that all its data is in memory.
func feed(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	block := make([]byte, min(n, feedPeriod))
	measure.Random().Read(block) // never fails
	for n > 0 {
		m, err := os.Stdout.Write(block[:min(n, len(block))])
		if err != nil {
			return err
		}
		n -= m
	}
	return nil
}
