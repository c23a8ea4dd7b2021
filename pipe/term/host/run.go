package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mesh/pipe/child"
	"mesh/pipe/term/pty"
	"mesh/pipe/term/share"
	"mesh/proto"
)

const (
	// readBytes is how much output is read at once.
	readBytes = 32 << 10
	// lastTime is how long the end of the output is waited for after the command has
	// lost its terminal.
	lastTime = 4 * time.Second
)

// errOver ends a viewer that has not seen the end of the session when nothing waits
// for it any more.
var errOver = proto.Errorf(proto.Truncated, "the session is over")

// Run shares the command, or the stream, until it ends, and returns how it ended. It
// calls serve, which connects viewers, with a context that ends when all viewers have
// seen the end. When ctx ends, the command loses its terminal.
func (h *Host) Run(ctx context.Context, serve func(context.Context)) (exit pty.Exit, err error) {
	living, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer h.wg.Wait()
	defer end(errOver)
	if h.socket != nil {
		h.wg.Go(func() { h.Session.Control(living, h.socket) })
	}
	if h.o.Stream == nil {
		if err := h.startCommand(); err != nil {
			return exit, err
		}
		defer h.process.Close()
		stop := context.AfterFunc(ctx, h.process.Close)
		defer stop()
	}
	h.Session.Begin()
	if h.terminal != nil {
		if err := h.terminal.start(living, &h.wg, &h.o); err != nil {
			return exit, err
		}
		defer h.terminal.console.Close()
	}
	go h.Session.Feed() // not waited for: it may stay in a write to a command that does not read
	h.wg.Go(func() { h.Session.Watch(living) })
	h.wg.Go(func() { serve(living) })
	err = h.copyOutput(ctx)
	if h.process != nil {
		exit = h.process.Wait()
	}
	h.Session.Exit(exit.Code, exit.Signal)
	if h.terminal != nil {
		h.terminal.endPrivate()
		if cerr := h.terminal.console.Close(); err == nil {
			err = cerr
		}
	}
	h.drain(ctx, living)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return exit, err
}

func (h *Host) startCommand() (err error) {
	cols, rows := h.Session.Size()
	h.process, err = pty.Start(pty.Options{
		Command: h.o.Command, Env: h.environ(), Cols: cols, Rows: rows, Like: h.o.In,
	})
	return err
}

// environ returns the command's environment.
func (h *Host) environ() []string {
	set := []string{EnvSession + "=" + h.Session.ID.String()}
	if h.o.Name != "" {
		set = append(set, EnvName+"="+h.o.Name)
	}
	if h.socket != nil {
		set = append(set, EnvSocket+"="+h.socket.Addr().String())
	}
	return child.TerminalEnviron(h.o.Env, set...)
}

// copyOutput shares the output to its end. When ctx ends, a command has lastTime for
// its last words, and a stream none.
func (h *Host) copyOutput(ctx context.Context) error {
	copied := make(chan error, 1) // one value, from the goroutine
	go func() {                   // may stay in a read of a stream, or in a write to the terminal
		if h.process == nil {
			copied <- h.copyStream()
		} else {
			copied <- h.copyCommand()
		}
	}()
	select {
	case err := <-copied:
		return err
	case <-ctx.Done():
	}
	if h.process == nil {
		return nil
	}
	select {
	case err := <-copied:
		return err
	case <-time.After(lastTime):
		return nil
	}
}

// copyCommand shares the output of the command.
func (h *Host) copyCommand() error {
	show := h.Session.Output
	if h.terminal != nil {
		show = h.terminal.show
	}
	return copyAll(h.process, func(p []byte) error {
		show(p)
		return nil
	})
}

// copyStream shares the stream, and passes it on to Next.
func (h *Host) copyStream() error {
	return copyAll(h.o.Stream, func(p []byte) error {
		h.Session.Output(p)
		if h.o.Next == nil {
			return nil
		}
		_, err := h.o.Next.Write(p)
		return err
	})
}

// copyAll calls use with all that r has.
func copyAll(r io.Reader, use func([]byte) error) error {
	n := newNetpollNudge()
	defer n.close()
	buf := make([]byte, readBytes)
	for {
		read, err := r.Read(buf)
		n.nudge()
		if read > 0 {
			if err := use(buf[:read]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what is shared: %w", proto.IOError(err))
		}
	}
}

// drain waits for the viewers to see the end; not for long when ctx ends.
func (h *Host) drain(ctx, living context.Context) {
	waiting, cancel := context.WithCancel(living)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(share.EndTime, cancel) })
	defer stop()
	h.Session.Drain(waiting)
	h.Session.Dismiss(errOver)
}
