// Package host runs a command on a terminal of its own, or reads a stream, and shares
// it: a session of package share with its input, its files, its socket, and the
// sharer's own terminal.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"mesh/pipe/child"
	"mesh/pipe/local"
	"mesh/pipe/term/cast"
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

// Variables in the environment of a command on a shared terminal.
const (
	EnvSession = "MESH_TTY_SESSION" // the session's id
	EnvName    = "MESH_TTY_NAME"    // its name, if it has one
	EnvSocket  = "MESH_TTY_SOCKET"  // where [share.Ask] reaches it
)

// EmulatedEnv describes the session's emulator to a command.
var EmulatedEnv = []string{"TERM=xterm-256color", "COLORTERM=truecolor"}

// Options say what is shared. Of the session's options, [New] sets Input, Hides,
// Resize, Lines, Record, Audit and Changed.
type Options struct {
	share.Options
	// Command runs on a terminal of its own, with Env as its environment. If Stream is
	// set, it is read to its end, and there is no command.
	Command []string
	Env     []string
	Stream  io.Reader
	// Next gets the bytes of Stream, too; nil for nothing. If that fails, the session
	// ends.
	Next io.Writer
	// In and Out are the sharer's own terminal, which is taken over; nil for none, and
	// with Stream. If the shared terminal may have another size ([share.SizeWriter], [share.SizeFixed]), it is
	// drawn on Out, which is of the kind Term, and the emulator answers queries.
	In, Out *os.File
	Term    string
	// RecordTo and AuditTo are names of files; "" for none.
	RecordTo, AuditTo string
	// SocketDir is where the socket for [share.Ask] is made; "" for no socket.
	SocketDir string
	// Titles shows the status in the title of Out.
	Titles bool
}

// Host is a session with the command whose terminal it shares, and with the sharer's
// own terminal.
type Host struct {
	Session *share.Session

	o        Options
	socket   *local.Listener // nil for none
	closers  []func() error  // close what New has opened
	process  *pty.Process    // nil for a stream; set before anybody types
	terminal *terminal       // nil for none
	wg       sync.WaitGroup  // goroutines that Run waits for
}

// New opens the files and the socket that the options name. [Host.Close] closes them.
func New(o Options) (*Host, error) {
	h := &Host{o: o}
	h.o.Input, h.o.Resize, h.o.Changed = nil, nil, nil
	h.o.Lines = o.Stream != nil
	if o.In != nil {
		h.terminal = &terminal{in: o.In, status: make(chan share.Status, 1), redraws: make(chan struct{}, 1)}
		if o.Titles {
			h.o.Changed = h.terminal.queueStatus
		}
		if o.Size != share.SizeSharer {
			h.terminal.drawing, h.o.Answers = newDrawing(o.Term), true
			h.o.Env = child.TerminalEnviron(o.Env, EmulatedEnv...)
		}
	}
	if o.Stream == nil {
		h.o.Input, h.o.Resize = keyboard{h}, h.resizeCommand
		h.o.Hides = func() bool { return h.process.Hides() }
	}
	if err := h.openFiles(); err != nil {
		_ = h.Close()
		return nil, err
	}
	h.Session = share.New(h.o.Options)
	if h.terminal != nil {
		h.terminal.session = h.Session
	}
	if err := h.openSocket(); err != nil {
		_ = h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) resizeCommand(cols, rows int) error {
	if h.terminal != nil && h.terminal.drawing != nil {
		h.terminal.redraw()
	}
	return h.process.Resize(cols, rows)
}

// keyboard types into the process.
type keyboard struct{ h *Host }

func (k keyboard) Write(p []byte) (int, error) { return k.h.process.Write(p) }

// openFiles opens the recording and the audit.
func (h *Host) openFiles() error {
	if h.o.RecordTo != "" {
		if err := h.openRecording(); err != nil {
			return fmt.Errorf("record: %w", err)
		}
	}
	if h.o.AuditTo != "" {
		f, err := cast.Append(h.o.AuditTo)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		h.o.Audit = share.NewAudit(f)
		h.closers = append(h.closers, f.Close)
	}
	return nil
}

func (h *Host) openRecording() error {
	f, err := cast.Create(h.o.RecordTo)
	if err != nil {
		return err
	}
	h.closers = append(h.closers, f.Close)
	env := make(map[string]string)
	for _, v := range h.o.Env {
		if name, value, _ := strings.Cut(v, "="); name == "TERM" || name == "SHELL" {
			env[name] = value
		}
	}
	cols, rows := share.ClampSize(h.o.Cols, h.o.Rows)
	h.o.Record, err = cast.NewWriter(f, cast.Header{
		Cols: cols, Rows: rows, Start: time.Now(), Title: h.o.Name, Command: strings.Join(h.o.Command, " "), Env: env,
	})
	if err != nil {
		return err
	}
	return f.Flush()
}

// Close closes what New has opened, and returns the first failure to write it.
func (h *Host) Close() error {
	var err error
	if h.Session != nil {
		err = h.Session.Recorded()
	}
	for _, f := range h.closers {
		if cerr := f(); cerr != nil && err == nil {
			err = fmt.Errorf("record and audit: %w", proto.IOError(cerr))
		}
	}
	return err
}

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
