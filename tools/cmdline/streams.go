package cmdline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/term"
	"mesh/pipe/term/safe"
	"mesh/proto"
)

// Streams are the standard streams of a tool, and the name that its messages begin
// with. A tool's work takes them as a value; a test makes them of buffers.
type Streams struct {
	Name string // mesh-cat, for "mesh cat" too
	In   io.Reader
	Out  io.Writer
	Err  io.Writer

	log *daemonLog // nil but for a tool that runs until it is stopped: see [DaemonStreams]
}

// StreamsOf returns the streams of the tool that c is for.
func StreamsOf(c *cli.Context) Streams {
	return Streams{Name: Name(c), In: c.App.Reader, Out: c.App.Writer, Err: c.App.ErrWriter}
}

// Complain prints err and its hints as the tool's last error would be, for a tool
// that goes on after it.
func (s Streams) Complain(err error) { s.ComplainAbout(err) }

// ComplainAbout is Complain with what err is about: attributes in a log of records, as
// [slog.Logger.Log] takes them.
func (s Streams) ComplainAbout(err error, about ...any) {
	complain(s.Err, s.Name, s.Records(), err, about...)
}

// maxComplaints limits how many entries of one transfer are named that are not sent
// or not stored: the peer decides how many there are.
const maxComplaints = 100

// Complaints returns a function that prints one line for each entry that is not sent
// or not stored, up to a limit. It may be called by many goroutines.
func (s Streams) Complaints() func(path string, err error) {
	var mu sync.Mutex
	printed := 0
	return func(path string, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch printed++; {
		case printed <= maxComplaints:
			s.Complain(fmt.Errorf("%s: %w", path, err))
		case printed == maxComplaints+1:
			s.Complain(proto.Errorf(proto.Failed, "further entries are not named"))
		}
	}
}

// Warn prints a warning: the tool does what it was asked to, but not all is as it
// should be.
func (s Streams) Warn(err error) {
	if log := s.Records(); log != nil {
		log.Warn(err.Error())
		return
	}
	fmt.Fprintf(s.Err, "%s: warning: %s\n", s.Name, proto.HideSecrets(proto.OneLine(err.Error())))
}

// Warnings returns [Streams.Warn] for a function that would repeat itself: it prints no
// text twice. It may be called by many goroutines.
func (s Streams) Warnings() func(error) {
	var mu sync.Mutex
	printed := make(map[string]bool)
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if line := proto.OneLine(err.Error()); !printed[line] {
			printed[line] = true
			s.Warn(err)
		}
	}
}

// PrintLine writes one line to standard output.
func (s Streams) PrintLine(line string) error {
	if _, err := io.WriteString(s.Out, line+"\n"); err != nil {
		return fmt.Errorf("write to standard output: %w", WriteError(err))
	}
	return nil
}

// Source returns standard input as the source of a pipe.
func (s Streams) Source() *pipe.Source {
	f, ok := s.In.(*os.File)
	if !ok {
		return &pipe.Source{Reader: s.In}
	}
	return &pipe.Source{
		Reader: pipe.Pollable(f, os.O_RDONLY), Typed: term.IsTerminal(f), Size: remaining(f),
		Ready: func() bool { return pipe.Readable(f) },
	}
}

// remaining returns how many bytes of a regular file are still to be read; 0 for
// any other file.
func remaining(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return max(info.Size()-at, 0)
}

// Sink returns standard output as the sink of a pipe. Its writes fail with an exit
// code: see [WriteError]. On a terminal, what would control that is left out. A file is on
// the disk before the sender hears of the end.
func (s Streams) Sink() *pipe.Sink {
	f, ok := s.Out.(*os.File)
	switch {
	case !ok:
		return &pipe.Sink{Writer: stdout{w: s.Out}}
	case term.IsTerminal(f):
		return &pipe.Sink{Writer: stdout{safe.NewWriter(f), f}}
	}
	f = pipe.Pollable(f, os.O_WRONLY)
	return &pipe.Sink{Writer: stdout{f, f}, Finish: syncAtEnd(f), AwaitLoss: s.AwaitReaderLoss}
}

// syncAtEnd returns what a transfer to standard output ends with. It is nil for what
// cannot be made durable: a pipe, a socket, a character device.
func syncAtEnd(f *os.File) func(status int) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() && info.Mode()&(fs.ModeDevice|fs.ModeCharDevice) != fs.ModeDevice {
		return nil
	}
	return func(status int) error {
		if status != 0 {
			return nil // the exchange ends with 33
		}
		// The kernel accepts writes that the disk then refuses: that is known only now.
		err := f.Sync()
		if err == nil || proto.IsLacking(err) {
			return nil
		}
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return fmt.Errorf("write to standard output: %w", proto.IOError(err))
	}
}

// FromPeer returns w for output that a peer may have a hand in: on a terminal, what
// would control that is left out.
func FromPeer(w io.Writer) io.Writer {
	if term.IsTerminal(w) {
		return safe.NewWriter(w)
	}
	return w
}

// The reader of standard output is lost once it was gone at lossChecks checks in a
// row. By then a transfer whose last bytes it has read has ended, and so it should: a
// consumer may leave when it has read all. A FIFO may have its next reader.
const (
	lossCheckEvery = 500 * time.Millisecond
	lossChecks     = 3
)

// AwaitReaderLoss blocks until the reader of standard output is gone for good, and
// returns an error with code [proto.BrokenStdout]. It returns nil when ctx ends, and at
// once if standard output is neither a pipe nor a socket.
func (s Streams) AwaitReaderLoss(ctx context.Context) error {
	f, ok := s.Out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return nil
	}
	tick := time.NewTicker(lossCheckEvery)
	defer tick.Stop()
	for gone := 0; gone < lossChecks; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if gone++; !pipe.ReaderGone(f) {
			gone = 0
		}
	}
	return fmt.Errorf("write to standard output: %w", WriteError(syscall.EPIPE))
}

// stdout gives failed writes their codes: a full disk is [proto.Space], a full
// device [proto.IO], since no room can be made on that.
type stdout struct {
	w io.Writer
	f *os.File // behind w; nil for none
}

// IsTerminal reports whether a person reads what is written.
func (s stdout) IsTerminal() bool { return term.IsTerminal(s.f) }

// Write implements [io.Writer].
func (s stdout) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err == nil {
		return n, nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	err = fmt.Errorf("write to standard output: %w", WriteError(err))
	if s.f != nil && errors.Is(err, syscall.ENOSPC) {
		if info, serr := s.f.Stat(); serr == nil && !info.Mode().IsRegular() {
			err = proto.Errorf(proto.IO, "%w", err)
		}
	}
	return n, err
}
