package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
)

// Exchange is [pipe.Exchange] with what is told of it.
func (n *Node) Exchange(ctx context.Context, l *link.Link, source *pipe.Source, sink *pipe.Sink) error {
	party := n.partyOf(l)
	options := n.transfers
	options.Counters = new(pipe.Counters)
	var down outage
	options.Broken = n.breaks(party, &down)
	stop := n.tell.watch(party, options.Counters, screenOf(source, sink), &down)
	result, err := pipe.Exchange(ctx, l, source, sink, options)
	stop()
	n.tell.result(party(), result)
	return err
}

// screen says what of a transfer is on the terminal, where a progress line
// would stand in its way, and how many bytes there are to send, or 0.
type screen struct {
	typed bool // the source is what a person types
	shown bool // the sink is what a person reads
	total int64
}

func screenOf(source *pipe.Source, sink *pipe.Sink) screen {
	var s screen
	if source != nil {
		s.typed, s.total = source.Typed, source.Size
	}
	if sink != nil {
		out, ok := sink.Writer.(stdout)
		s.shown = ok && term.IsTerminal(out.w)
	}
	return s
}

// Stdin is the tool's standard input as a source.
func Stdin(c *cli.Context) *pipe.Source {
	if f, ok := c.App.Reader.(*os.File); ok {
		return &pipe.Source{Reader: pipe.Pollable(f, os.O_RDONLY), Typed: term.IsTerminal(f), Size: rest(f), Ready: func() bool { return pipe.Readable(f) }}
	}
	return &pipe.Source{Reader: c.App.Reader}
}

// rest is how much of a regular file is still to be read; of all else, 0.
func rest(f *os.File) int64 {
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

// Stdout is the tool's standard output as a sink.
func Stdout(c *cli.Context) *pipe.Sink {
	if f, ok := c.App.Writer.(*os.File); ok {
		return &pipe.Sink{Writer: stdout{pipe.Pollable(f, os.O_WRONLY)}}
	}
	return &pipe.Sink{Writer: stdout{c.App.Writer}}
}

// stdout gives failed writes their codes: a full disk is [proto.Space], a full
// device [proto.IO], since no room can be made on that.
type stdout struct{ w io.Writer }

func (s stdout) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err == nil {
		return n, nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	err = fmt.Errorf("write to standard output: %w", cmdline.WriteError(err))
	if f, ok := s.w.(*os.File); ok && errors.Is(err, syscall.ENOSPC) {
		if info, serr := f.Stat(); serr == nil && !info.Mode().IsRegular() {
			err = proto.Errorf(proto.IO, "%w", err)
		}
	}
	return n, err
}
