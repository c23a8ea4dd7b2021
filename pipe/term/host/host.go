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
	"mesh/pipe/term/console"
	"mesh/pipe/term/draw"
	"mesh/pipe/term/pty"
	"mesh/pipe/term/share"
	"mesh/proto"
)

const (
	// readBytes is how much output is read at once.
	readBytes = 32 << 10
	// sizeTime is how long the size of the sharer's terminal must have stayed what
	// it is, and the least time between two sizes of a viewer.
	sizeTime = 50 * time.Millisecond
	// lastTime is how long the end of the output is waited for when the command has
	// lost its terminal.
	lastTime = 4 * time.Second
	// keyTime is how long the keyboard may be waited for when the end has come.
	keyTime = 100 * time.Millisecond
)

// The variables that a command on a shared terminal has more than others.
const (
	EnvSession = "MESH_TTY_SESSION" // the session's id
	EnvName    = "MESH_TTY_NAME"    // its name, if it has one
	EnvSocket  = "MESH_TTY_SOCKET"  // where Ask reaches it
)

// HostOptions say what is shared, and where it comes from. Of the session's
// options Input, Hides, Resize, Lines, Record, Audit and Changed are the host's own.
type HostOptions struct {
	share.Options
	// Command runs on a terminal of its own, with Env as its environment. With
	// Stream, which is read to its end, there is no command.
	Command []string
	Env     []string
	Stream  io.Reader
	// Next is where the bytes of Stream go on to; nil for nowhere. An error of it ends
	// the session.
	Next io.Writer
	// In and Out are the sharer's own terminal, which is handed over; nil for none.
	// Where the shared one may have another size than that ([SizeWriter], [SizeFixed])
	// it is drawn on Out, which is of the kind Term, and answers for itself.
	In, Out *os.File
	Term    string
	// RecordTo and AuditTo are names of files; "" for none.
	RecordTo, AuditTo string
	// SocketDir is where the socket of [Ask] is made; "" for none.
	SocketDir string
	// Titles says that Out's title tells who is there.
	Titles bool
}

// Host is a session with the command whose terminal it shares, and the terminal
// of who shares it.
type Host struct {
	*share.Session
	o       HostOptions
	socket  *local.Listener   // nil for none
	closers []func() error    // of what NewHost has opened
	process *pty.Process      // nil for a stream; set before anybody types
	console *console.Console  // nil without a terminal of our own
	status  chan share.Status // sent by tell, the newest only; never closed
	drawn   *drawing          // nil where output goes to the console as it is
	undrawn chan struct{}     // a value is there when drawn is to be drawn; never closed
	wg      sync.WaitGroup

	// drawing is held while the console and the emulator are not at the same place,
	// and by whoever else writes to the console.
	drawing sync.Mutex
	line    string // the newest caption, which is drawn
	caption string // is to be the console's title; "" when it is
	bell    bool   // is to be rung with it
	alt     bool   // the console is on its alternate screen
}

// NewHost opens the files and the socket that the options name. Close it in the
// end.
func NewHost(o HostOptions) (*Host, error) {
	h := &Host{o: o, status: make(chan share.Status, 1), undrawn: make(chan struct{}, 1)}
	h.o.Input, h.o.Resize, h.o.Changed = nil, nil, nil
	h.o.Lines = o.Stream != nil
	if o.Titles {
		h.o.Changed = h.tell
	}
	if o.Stream == nil {
		h.o.Input, h.o.Resize = keyboard{h}, h.resizeCommand
		h.o.Hides = func() bool { return h.process.Hides() }
	}
	if o.In != nil && o.Size != share.SizeSharer {
		h.drawn, h.o.Answers = newDrawing(o.Term), true
		h.o.Env = child.TerminalEnviron(o.Env, EmulatedEnv...)
	}
	err := h.open()
	if err != nil {
		_ = h.Close()
		return nil, err
	}
	h.Session = share.New(h.o.Options)
	if err := h.listen(); err != nil {
		_ = h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) resizeCommand(cols, rows int) error {
	if h.drawn != nil {
		h.redraw(false)
	}
	return h.process.Resize(cols, rows)
}

// EmulatedEnv tells a command what our emulator is like.
var EmulatedEnv = []string{"TERM=xterm-256color", "COLORTERM=truecolor"}

// open opens the recording and the audit.
func (h *Host) open() error {
	if name := h.o.RecordTo; name != "" {
		f, err := cast.Create(name)
		if err != nil {
			return fmt.Errorf("record: %w", err)
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
		if err == nil {
			err = f.Flush()
		}
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
	}
	if name := h.o.AuditTo; name != "" {
		f, err := cast.Append(name)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		h.o.Audit = share.NewAudit(f)
		h.closers = append(h.closers, f.Close)
	}
	return nil
}

// Close closes what NewHost has opened, and returns what could not be written.
func (h *Host) Close() error {
	var err error
	if h.Session != nil {
		err = h.Recorded()
	}
	for _, f := range h.closers {
		if cerr := f(); cerr != nil && err == nil {
			err = fmt.Errorf("record and audit: %w", proto.IOError(cerr))
		}
	}
	return err
}

// keyboard types into the process.
type keyboard struct{ h *Host }

func (k keyboard) Write(p []byte) (int, error) { return k.h.process.Write(p) }

// errOver is what a viewer is told that has not seen the end when nobody waits for
// it any more.
var errOver = proto.Errorf(proto.Truncated, "the session is over")

// Run shares the command, or the stream, until it ends, and returns how. Serve is
// run with a context that ends when all viewers have seen the end; it lets them
// in. When ctx ends the command loses its terminal.
func (h *Host) Run(ctx context.Context, serve func(context.Context)) (exit pty.Exit, err error) {
	living, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer h.wg.Wait()
	defer end(errOver)
	if h.socket != nil {
		h.wg.Go(func() { h.Control(living, h.socket) })
	}
	output := h.o.Stream
	if h.o.Stream == nil {
		cols, rows := h.Size()
		h.process, err = pty.Start(pty.Options{
			Command: h.o.Command, Env: h.environ(), Cols: cols, Rows: rows, Like: h.o.In,
		})
		if err != nil {
			return exit, err
		}
		defer h.process.Close()
		stop := context.AfterFunc(ctx, h.process.Close)
		defer stop()
		output = h.process
	}
	h.Begin()
	if h.o.In != nil {
		taking := console.Options{Enter: console.PushTitle, Leave: console.Reset + console.PopTitle}
		if h.drawn != nil {
			taking = console.Options{Enter: console.PushTitle + console.Alternate + draw.Setup, Leave: console.Reset + console.Main + console.PopTitle}
		}
		if h.console, err = console.Open(h.o.In, h.o.Out, taking); err != nil {
			return exit, err
		}
		cols, rows := h.console.Size()
		h.Resize(cols, rows)
		if h.drawn != nil {
			h.redraw(false)
			go h.draws(living)
		}
		defer h.console.Close()
		h.wg.Go(func() { h.keys(living) })
		go h.sizes(living, cols, rows) // these may be left in a write to a terminal that takes nothing
		go h.titles(living)
	}
	typing := make(chan struct{}) // closed when nobody types any more; not waited for
	go func() {
		defer close(typing)
		h.Feed()
	}()
	h.wg.Go(func() { h.Watch(living) })
	h.wg.Go(func() { serve(living) })
	copied := make(chan error, 1)
	go func() { copied <- h.copy(output) }() // may be left in a read of a stream
	select {
	case err = <-copied:
	case <-ctx.Done():
		patience := lastTime // for the command's last words, unless our terminal takes nothing
		if h.process == nil {
			patience = 0
		}
		select {
		case err = <-copied:
		case <-time.After(patience):
		}
	}
	if h.process != nil {
		exit = h.process.Wait()
	}
	h.Exit(exit.Code, exit.Signal)
	if h.console != nil {
		if cerr := h.console.Close(); err == nil {
			err = cerr
		}
	}
	h.drain(ctx, living)
	if ctx.Err() != nil {
		return exit, context.Cause(ctx)
	}
	return exit, err
}

// drain lets the viewers see the end. When ctx ends, not for long.
func (h *Host) drain(ctx, living context.Context) {
	waiting, cancel := context.WithCancel(living)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(share.EndTime, cancel) })
	defer stop()
	h.Drain(waiting)
	h.Dismiss(errOver)
}

// copy takes the output to its end. What the sharer sees is not held up by any
// viewer. When its terminal is gone the session goes on for the others.
func (h *Host) copy(output io.Reader) error {
	out := h.o.Next
	if h.console != nil {
		out = h.console
	}
	lookout := newLookout()
	defer lookout.close()
	buf := make([]byte, readBytes)
	for {
		n, err := output.Read(buf)
		lookout.look()
		if n > 0 {
			if werr := h.show(out, buf[:n]); werr != nil {
				if h.process == nil {
					return werr
				}
				out = nil
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

// show gives output to the viewers, and then to out, unless that is nil.
func (h *Host) show(out io.Writer, p []byte) error {
	if h.drawn != nil {
		h.Output(p)
		h.redraw(false)
		return nil
	}
	h.drawing.Lock()
	defer h.drawing.Unlock()
	h.Output(p)
	h.secure()
	if out == nil {
		return nil
	}
	if _, err := out.Write(p); err != nil {
		return err
	}
	h.entitle()
	return nil
}

// environ is the command's environment.
func (h *Host) environ() []string {
	set := []string{EnvSession + "=" + h.ID.String()}
	if h.o.Name != "" {
		set = append(set, EnvName+"="+h.o.Name)
	}
	if h.socket != nil {
		set = append(set, EnvSocket+"="+h.socket.Addr().String())
	}
	return child.TerminalEnviron(h.o.Env, set...)
}
