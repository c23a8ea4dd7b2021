// Package host runs a command on a terminal of its own, or reads a stream, and shares
// it: a session of package share with its input, its files, its socket, and the
// sharer's own terminal.
package host

import (
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

// Variables in the environment of a command on a shared terminal.
const (
	EnvSession = "MESH_TTY_SESSION" // the session's id
	EnvName    = "MESH_TTY_NAME"    // its name, if it has one
	EnvSocket  = "MESH_TTY_SOCKET"  // where [share.Ask] reaches it
)

// EmulatedEnv describes the session's emulator to a command.
var EmulatedEnv = []string{"TERM=xterm-256color", "COLORTERM=truecolor"}

// Options say what is shared. Of the session's options, [New] sets Input, Hides,
// Flow, Foreground, HasJob, Resize, Lines, Record, Audit, Show and Changed.
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
	// ColorTerm is the value of COLORTERM of the sharer's terminal.
	ColorTerm string
	// RecordTo and AuditTo are names of files; "" for none.
	RecordTo, AuditTo string
	// SocketDir is where the socket for [share.Ask] is made; "" for no socket. If Warn is
	// set, it is called when the folder cannot be written, and there is no socket then: the
	// session does not need one. A folder that others may enter is an error all the same.
	SocketDir string
	Warn      func(error)
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
	h.o.Input, h.o.Resize, h.o.Changed, h.o.Show = nil, nil, nil, nil
	h.o.Lines = o.Stream != nil
	if o.In != nil {
		h.terminal = &terminal{in: o.In, status: make(chan share.Status, 1), redraws: make(chan struct{}, 1)}
		h.o.Show = h.terminal.showPrivately
		if o.Titles {
			h.o.Changed = h.terminal.queueStatus
		}
		if o.Size != share.SizeSharer {
			h.terminal.drawing, h.o.Answers = newDrawing(o.Term, o.ColorTerm), true
			h.o.Env = child.TerminalEnviron(o.Env, EmulatedEnv...)
		}
	}
	if o.Stream == nil {
		h.o.Input, h.o.Resize = keyboard{h}, h.resizeCommand
		h.o.Hides = func() bool { return h.process.Hides() }
		h.o.Flow = func() share.Flow { return share.Flow(h.process.Flow()) }
		h.o.Foreground = func() int { return h.process.Foreground() }
		h.o.HasJob = func(before int) bool { return h.process.HasJob(before) }
	}
	if err := h.openFiles(); err != nil {
		_ = h.Close()
		return nil, err
	}
	h.Session = share.New(h.o.Options)
	if h.terminal != nil {
		h.terminal.session = h.Session
	}
	err := h.openSocket()
	if err != nil && h.o.Warn != nil && proto.CodeOf(err) != proto.Config {
		h.o.Warn(err)
		err = nil
	}
	if err != nil {
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
