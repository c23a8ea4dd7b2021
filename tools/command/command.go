// Package command runs the CMD of a tool, and makes a source of its standard
// output and a sink of its standard input.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe"
	"mesh/pipe/child"
	"mesh/proto"
)

// stopGrace is how long a command may take to end itself after SIGTERM.
const stopGrace = 2 * time.Second

// Options say what a command gets.
type Options struct {
	// Stdin is its standard input, as an [*os.File] handed to it as it is. Nil
	// makes a pipe, which [Process.Sink] writes to.
	Stdin io.Reader
	// Stdout is its standard output, an [*os.File] too. Nil makes a pipe, which
	// [Process.Source] reads.
	Stdout io.Writer
	// Stderr is its standard error.
	Stderr io.Writer
	// Env is added to the environment of this process, less the variables that
	// [child.Environ] leaves out.
	Env []string
	// Group gives it a process group of its own, so that [Process.Stop] also
	// ends what it has started. A command that may read the terminal must not
	// have one.
	Group bool
}

// Process is a command that runs, or has run.
type Process struct {
	cmd    *exec.Cmd
	group  bool
	stdin  *os.File // the end that we write; nil if it has its own
	stdout *os.File // the end that we read
	ended  chan struct{}
	status int // valid once ended is closed
	once   sync.Once
	killed atomic.Bool // by end, before its own end
}

// Check reports whether cmd can be found, so that a mistyped one is told before
// a peer is there.
func Check(cmd []string) error {
	if _, err := exec.LookPath(cmd[0]); err != nil {
		return runError(cmd, err)
	}
	return nil
}

// Start starts cmd. Call [Process.Stop] in the end.
func Start(ctx context.Context, cmd []string, o Options) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	p := &Process{cmd: exec.Command(cmd[0], cmd[1:]...), group: o.Group, ended: make(chan struct{})}
	p.cmd.Env = child.Environ(os.Environ(), o.Env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = o.Stdin, o.Stdout, o.Stderr
	var theirs []*os.File
	pipeFor := func(ours **os.File, give func(*os.File), reads bool) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		if reads {
			r, w = w, r
		}
		*ours = r
		give(w)
		theirs = append(theirs, w)
		return nil
	}
	var err error
	if o.Stdout == nil {
		err = pipeFor(&p.stdout, func(f *os.File) { p.cmd.Stdout = f }, false)
	}
	if err == nil && o.Stdin == nil {
		err = pipeFor(&p.stdin, func(f *os.File) { p.cmd.Stdin = f }, true)
	}
	if err == nil {
		if o.Group {
			ownGroup(p.cmd)
		}
		err = p.cmd.Start()
	}
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		p.closePipes()
		return nil, runError(cmd, err)
	}
	go p.wait()
	return p, nil
}

// Run runs cmd with nothing to read, and returns its exit status. If ctx ends
// before it does, it is ended, and the cause is the error.
func Run(ctx context.Context, cmd []string, o Options) (status int, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, proto.IOError(err)
	}
	defer null.Close()
	o.Stdin = null
	p, err := Start(ctx, cmd, o)
	if err != nil {
		return 0, err
	}
	defer p.closePipes()
	select {
	case <-p.ended:
		return p.status, nil
	case <-ctx.Done():
		p.end()
		return 0, context.Cause(ctx)
	}
}

func runError(cmd []string, err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	return proto.IOError(fmt.Errorf("run %q: %w", cmd[0], err))
}

func (p *Process) wait() {
	defer close(p.ended)
	_ = p.cmd.Wait() // the state says it all
	p.status = status(p.cmd.ProcessState)
}

// Status waits for the command's end and returns its exit status, 128+n for
// signal n.
func (p *Process) Status() int {
	<-p.ended
	return p.status
}

// OwnStatus is the exit status of a command that ended by itself; 0 if Stop
// ended it, or it still runs.
func (p *Process) OwnStatus() int {
	select {
	case <-p.ended:
		if !p.killed.Load() {
			return p.status
		}
	default:
	}
	return 0
}

// Source is what the command prints, and its exit status.
func (p *Process) Source() *pipe.Source { return &pipe.Source{Reader: p.stdout, Status: p.Status} }

// Sink is the command's input. Its end is shown to the command only if all
// arrived and the producer did not fail; else [Process.Stop] ends the command
// first, so that it never takes a part for the whole.
func (p *Process) Sink() *pipe.Sink {
	return &pipe.Sink{Writer: p.stdin, Gone: p.ended, Finish: func(status int) error {
		if status != 0 {
			p.end() // not Stop: what it has printed is still being read
			return nil
		}
		if err := p.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
		return nil
	}}
}

// LastSink is the command's input where nothing of its output goes to the peer,
// so that its exit status can't follow that. What it prints is dropped, and the
// sender is told of the end only when the command has ended with 0.
func (p *Process) LastSink() *pipe.Sink {
	go func() { _, _ = io.Copy(io.Discard, p.stdout) }() // ends with the command, or with Stop
	sink := p.Sink()
	finish := sink.Finish
	sink.Leave = func() error {
		if status := p.Status(); status != 0 {
			return proto.Errorf(proto.Producer, "the command ended with status %d", status)
		}
		return nil
	}
	sink.Finish = func(status int) error {
		if err := finish(status); err != nil || status != 0 {
			return err
		}
		return sink.Leave()
	}
	return sink
}

// CloseInput shows the command an end of input, where the peer sends none.
func (p *Process) CloseInput() { _ = p.stdin.Close() }

// Stop ends the command if it still runs, SIGTERM first, and closes its pipes.
// It blocks until the command has ended. It may be called more than once.
func (p *Process) Stop() {
	p.end()
	p.closePipes()
}

// end ends the command if it still runs, and leaves its pipes open.
func (p *Process) end() {
	p.once.Do(func() {
		select {
		case <-p.ended:
			return
		default:
		}
		p.killed.Store(true)
		terminate(p.cmd.Process, p.group)
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-p.ended:
		case <-timer.C:
		}
		kill(p.cmd.Process, p.group) // what it has started may live on
		<-p.ended
	})
}

func (p *Process) closePipes() {
	for _, f := range []*os.File{p.stdin, p.stdout} {
		if f != nil {
			_ = f.Close()
		}
	}
}
