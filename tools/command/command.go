// Package command runs the CMD of a tool. Its standard output can be the source of a
// pipe, and its standard input the sink.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe"
	"mesh/pipe/child"
	"mesh/proto"
)

// stopGrace is the time between SIGTERM and SIGKILL.
const stopGrace = 2 * time.Second

// Options describe what a command gets.
type Options struct {
	// Stdin is the standard input. The command inherits an [*os.File] as it is. Nil
	// makes a pipe that [Process.Sink] writes to.
	Stdin io.Reader
	// Stdout is the standard output, inherited likewise. Any other writer gets it copied.
	// Nil makes a pipe that [Process.Source] reads.
	Stdout io.Writer
	// Stderr is the standard error, inherited or copied likewise.
	Stderr io.Writer
	// Env is added to the environment of this process, less the variables that
	// [child.Environ] leaves out.
	Env []string
	// Group puts the command into a process group of its own, so that [Process.Stop]
	// also ends the processes that it started. A command that reads the terminal
	// must stay in the group of this process.
	Group bool
}

// Process is a started command.
type Process struct {
	cmd    *exec.Cmd
	group  bool
	stdin  *os.File      // the writing end of the pipe; nil with Options.Stdin
	stdout *os.File      // the reading end of the pipe; nil with Options.Stdout
	ended  chan struct{} // closed by wait
	status int           // valid once ended is closed
	once   sync.Once
	killed atomic.Bool    // terminate ended the command
	copies sync.WaitGroup // of output to writers that are no files
}

// Check returns an error if cmd cannot be found. Call it before waiting for a peer.
func Check(cmd []string) error {
	_, err := exec.LookPath(cmd[0])
	if err == nil {
		return nil
	}
	name, value, assigns := strings.Cut(cmd[0], "=")
	switch {
	case assigns && len(cmd) > 1 && isVariable(name):
		return proto.Hint(runError(cmd, err), "env "+name+"="+value+" "+cmd[1]+" … sets a variable")
	case len(cmd) == 1 && strings.ContainsAny(cmd[0], " |&;<>()$*?~"):
		return proto.Hint(runError(cmd, err), "no shell reads CMD: -- sh -c '"+strings.ReplaceAll(cmd[0], "'", `'\''`)+"'")
	case slices.Contains(builtins, cmd[0]):
		return proto.Hint(runError(cmd, err), "that is a command of the shell: -- sh -c '"+cmd[0]+" …'")
	}
	return runError(cmd, err)
}

// builtins are commands that only a shell has.
var builtins = []string{"cd", "alias", "source", ".", "export", "ulimit", "umask", "exec", "eval", "set", "if", "for", "while", "{", "("}

func isVariable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// Start starts cmd. ctx does not stop it: the caller calls [Process.Stop].
func Start(ctx context.Context, cmd []string, o Options) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	p := &Process{cmd: exec.Command(cmd[0], cmd[1:]...), group: o.Group, ended: make(chan struct{})}
	p.cmd.Env = child.Environ(os.Environ(), o.Env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = o.Stdin, o.Stdout, o.Stderr
	var inherited []*os.File // closed once the command has them
	pipeFor := func(own **os.File, give func(*os.File), reads bool) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		if reads {
			r, w = w, r
		}
		*own = r
		give(w)
		inherited = append(inherited, w)
		return nil
	}
	var err error
	if o.Stdout == nil {
		err = pipeFor(&p.stdout, func(f *os.File) { p.cmd.Stdout = f }, false)
	}
	if err == nil && o.Stdin == nil {
		err = pipeFor(&p.stdin, func(f *os.File) { p.cmd.Stdin = f }, true)
	}
	for _, to := range []*io.Writer{&p.cmd.Stdout, &p.cmd.Stderr} {
		if err == nil && *to != nil {
			var w *os.File
			if w, err = p.copyTo(*to); w != nil {
				*to = w
				inherited = append(inherited, w)
			}
		}
	}
	if err == nil {
		if o.Group {
			ownGroup(p.cmd)
		}
		err = child.Start(p.cmd)
	}
	for _, f := range inherited {
		f.Close()
	}
	if err != nil {
		p.closePipes()
		return nil, runError(cmd, err)
	}
	go p.wait()
	return p, nil
}

// Run runs cmd and returns its exit status. Without Options.Stdin its input is empty. If
// ctx ends first, Run stops the command and returns the cause.
func Run(ctx context.Context, cmd []string, o Options) (status int, err error) {
	if o.Stdin == nil {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return 0, proto.IOError(err)
		}
		defer null.Close()
		o.Stdin = null
	}
	p, err := Start(ctx, cmd, o)
	if err != nil {
		return 0, err
	}
	defer p.closePipes()
	select {
	case <-p.ended:
		return p.status, nil
	case <-ctx.Done():
		p.terminate()
		return 0, context.Cause(ctx)
	}
}

func runError(cmd []string, err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	return proto.IOError(fmt.Errorf("run %q: %w", cmd[0], err))
}

// copyTo returns the writing end of a pipe whose content is copied to a writer; nil for
// a file, which needs none. A process that outlives the command may hold the pipe open,
// so unlike package os/exec nothing waits for its end for long.
func (p *Process) copyTo(to io.Writer) (*os.File, error) {
	if _, ok := to.(*os.File); ok {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.copies.Go(func() {
		defer r.Close()
		_, _ = io.Copy(to, r) // a writer that fails breaks the pipe
	})
	return w, nil
}

// copyGrace is how long the last output of a command may take to be copied.
const copyGrace = time.Second

// awaitCopies waits until the output is copied, at most for copyGrace.
func (p *Process) awaitCopies() {
	done := make(chan struct{}) // closed when all is copied
	go func() {
		defer close(done)
		p.copies.Wait()
	}()
	timer := time.NewTimer(copyGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

func (p *Process) wait() {
	defer close(p.ended)
	_ = p.cmd.Wait() // ProcessState has the result
	p.awaitCopies()
	p.status = status(p.cmd.ProcessState)
}

// Status waits for the end of the command and returns its exit status, 128+n for
// signal n.
func (p *Process) Status() int {
	<-p.ended
	return p.status
}

// OwnStatus returns the exit status of a command that ended by itself. It is 0 if Stop
// ended the command, or the command still runs.
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

// Failed reports whether err says that a command failed, at either end.
func Failed(err error) bool {
	code := proto.CodeOf(err)
	return code == proto.Producer || code == proto.Consumer
}

// Source returns the output of the command as a source. Its status is the exit status.
func (p *Process) Source() *pipe.Source { return &pipe.Source{Reader: p.stdout, Status: p.Status} }

// Sink returns the input of the command as a sink. The command sees the end of its
// input only if all of it arrived and the producer succeeded. In any other case
// [Process.Stop] ends the command first, so that it never takes a part for the whole.
func (p *Process) Sink() *pipe.Sink {
	return &pipe.Sink{Writer: p.stdin, Gone: p.ended, Finish: func(status int) error {
		if status != 0 {
			p.terminate() // not Stop: the output is still being read
			return nil
		}
		if err := p.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
		return nil
	}}
}

// LastSink is [Process.Sink] for a command whose output does not go to the peer, so
// that no exit status can follow the output. The output is discarded. The sender gets
// its acknowledgement after the command has ended with status 0.
func (p *Process) LastSink() *pipe.Sink {
	go func() { _, _ = io.Copy(io.Discard, p.stdout) }() // ends with the command, or with Stop
	sink := p.Sink()
	finish := sink.Finish
	sink.Leave = func() error {
		if status := p.Status(); status != 0 {
			return proto.Errorf(proto.Consumer, "the command ended with status %d", status)
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

// CloseInput ends the input of the command, for a peer that sends nothing.
func (p *Process) CloseInput() { _ = p.stdin.Close() }

// Stop ends the command if it still runs, first with SIGTERM, and closes its pipes. It
// returns when the command has ended. It may be called more than once.
func (p *Process) Stop() {
	p.terminate()
	p.closePipes()
}

// terminate ends the command if it still runs, and leaves its pipes open.
func (p *Process) terminate() {
	p.once.Do(func() {
		select {
		case <-p.ended:
			return
		default:
		}
		p.killed.Store(true)
		askToEnd(p.cmd.Process, p.group)
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-p.ended:
		case <-timer.C:
		}
		kill(p.cmd.Process, p.group) // the rest of its group may still run
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
