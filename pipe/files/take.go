package files

import (
	"bufio"
	"context"
	"errors"
	"io"

	"mesh/proto"
	"mesh/proto/wire"
)

// ListOffered asks an [Offer] for its list, or for the part of it with these names, and
// calls show for each entry. The path of a folder ends in a slash. Paths are safe to
// print. A name that nothing offered has is reported, and the error is an [Incomplete]
// then.
func ListOffered(ctx context.Context, names []string, from io.Reader, to io.Writer, show func(path string, size int64) error, report func(path string, err error)) error {
	r, w, wanted := newFrameReader(from), newFrameWriter(to), newAsked(names)
	if err := errors.Join(w.writeMessage(&wire.Take{Names: names, List: wire.ListAll}), w.flush()); err != nil {
		return err
	}
	for entries := int64(0); ; entries++ {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		t, body, err := r.readFrame(wire.TypeListed, wire.TypeTotal)
		if err != nil {
			return err
		}
		if t == wire.TypeTotal {
			return endList(body, entries, wanted, report)
		}
		m := new(wire.Listed)
		switch err := wire.ParseBody(body, m); {
		case err != nil:
			return err
		case entries == proto.MaxListed:
			return proto.Hint(proto.Errorf(proto.Protocol, "the peer lists more than %d entries", entries), "a NAME lists what is in one folder")
		case !wanted.takesFirst(m.Path, m.Kind):
			return errNotAsked(m.Path)
		}
		path := proto.EscapeText(m.Path)
		if m.Kind == wire.EntryFolder {
			path += "/"
		}
		if err := show(path, m.Size); err != nil {
			return err
		}
	}
}

// endList checks the end of a list.
func endList(body []byte, entries int64, wanted *asked, report func(path string, err error)) error {
	m := new(wire.Total)
	if err := wire.ParseBody(body, m); err != nil {
		return err
	}
	if m.Entries != entries {
		return errOrder(m)
	}
	p := problems{report: report}
	p.setFailed(m.Failed, m.Code)
	p.addMissing(wanted.missing())
	return p.err()
}

// errNotAsked ends a transfer in which the sender sends more than was asked for.
func errNotAsked(path string) error {
	return proto.Errorf(proto.Protocol, "the peer sends %s, which was not asked for", proto.QuoteText(path))
}

// addMissing reports the names for which the sender has nothing.
func (p *problems) addMissing(names []string) {
	others := p.failed
	for _, name := range names {
		p.addFailed(proto.EscapeText(name), proto.Errorf(proto.IO, "the peer offers nothing of this name, or cannot read it"))
	}
	p.failed = max(others, int64(len(names))) // those that the sender cannot read are among both
}

// Sum is what is known of files before they arrive. Name is safe to print.
type Sum struct {
	Name         string // of the first file or folder
	Folder       bool
	Top          int64 // files and folders that are in no other one
	Files, Bytes int64
	// More says that there may be more than these numbers.
	More bool
}

// SumOffered asks an [Offer] how much [Receive] with these names would get. It leaves the
// pipes to Receive with [ReceiveOptions.Take].
func SumOffered(names []string, from io.Reader, to io.Writer) (Sum, error) {
	r, w, wanted := newFrameReader(from), newFrameWriter(to), newAsked(names)
	if err := errors.Join(w.writeMessage(&wire.Take{Names: names, List: wire.ListSum}), w.flush()); err != nil {
		return Sum{}, err
	}
	_, body, err := r.readFrame(wire.TypeSum)
	if err != nil {
		return Sum{}, err
	}
	m := new(wire.Sum)
	switch err := wire.ParseBody(body, m); {
	case err != nil:
		return Sum{}, err
	case m.Path != "" && !wanted.takesFirst(m.Path, wire.EntryFolder):
		return Sum{}, errNotAsked(m.Path)
	case r.buffered():
		return Sum{}, proto.Errorf(proto.Protocol, "the peer sends more than was asked for")
	}
	return Sum{Name: proto.EscapeText(m.Path), Top: m.Top, Files: m.Files, Bytes: m.Bytes, More: m.More}, nil
}

// Announced returns what the frames that have arrived say of the files of [Send], and a
// reader of all frames for [Receive]. It blocks until the first frame has arrived. The
// caller learns of a fault in the frames from Receive.
func Announced(from io.Reader) (Sum, io.Reader) {
	r := bufio.NewReaderSize(from, bufferBytes)
	s := Sum{More: true}
	for at := 0; ; {
		n := proto.FrameHeaderBytes
		header, err := r.Peek(at + n)
		if err != nil {
			return s, r
		}
		h, err := wire.ParseHeader(header[at:])
		if err != nil || h.Type != wire.TypeEntry || at+n+h.Bytes > r.Size() {
			return s, r
		}
		frame, err := r.Peek(at + n + h.Bytes)
		m := new(wire.Entry)
		if err != nil || wire.ParseBody(frame[at+n:], m) != nil {
			return s, r
		}
		if at += n + h.Bytes; s.Top == 0 {
			s.Name, s.Folder = proto.EscapeText(m.Path), m.Kind == wire.EntryFolder
		}
		s.Top++
		s.Bytes = addBytes(s.Bytes, m.Size-m.Holes)
		if r.Buffered() < at+n {
			return s, r
		}
	}
}

// takeFirst asks the sender for files.
func takeFirst(names []string, w *frameWriter) error {
	return errors.Join(w.writeMessage(&wire.Take{Names: names}), w.flush())
}
