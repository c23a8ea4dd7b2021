package files

import (
	"bufio"
	"io"
	"unicode/utf8"

	"mesh/proto"
	"mesh/proto/wire"
)

// bufferBytes is what is collected before it is written, and read at once.
const bufferBytes = 128 << 10

// frameWriter writes frames to one of the two pipes. What it holds back goes out
// with flush.
type frameWriter struct {
	w     *bufio.Writer
	frame []byte
}

func newFrameWriter(w io.Writer) *frameWriter {
	return &frameWriter{w: bufio.NewWriterSize(w, bufferBytes)}
}

func (f *frameWriter) message(m wire.Message) error {
	f.frame = wire.AppendFrame(f.frame[:0], m)
	_, err := f.w.Write(f.frame)
	return err
}

func (f *frameWriter) data(p []byte) error {
	f.frame = wire.AppendDataHeader(f.frame[:0], len(p))
	if _, err := f.w.Write(f.frame); err != nil {
		return err
	}
	_, err := f.w.Write(p)
	return err
}

func (f *frameWriter) flush() error { return f.w.Flush() }

// frameReader reads frames from one of the two pipes.
type frameReader struct {
	r    *bufio.Reader
	body []byte // of the last frame
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, bufferBytes)}
}

// next reads a frame of one of the given types. Its body is good until the next
// call.
func (f *frameReader) next(want ...wire.Type) (wire.Type, []byte, error) {
	header, err := f.r.Peek(proto.FrameHeaderBytes)
	if err == io.EOF {
		return 0, nil, errCut
	}
	if err != nil {
		return 0, nil, err
	}
	h, err := wire.ParseHeader(header)
	if err != nil {
		return 0, nil, err
	}
	_, _ = f.r.Discard(len(header)) // it is there
	if err := h.Expect(want...); err != nil {
		return 0, nil, err
	}
	if cap(f.body) < h.Bytes {
		f.body = make([]byte, max(h.Bytes, 4<<10))
	}
	f.body = f.body[:h.Bytes]
	if _, err := io.ReadFull(f.r, f.body); err == io.EOF || err == io.ErrUnexpectedEOF {
		return 0, nil, errCut
	} else if err != nil {
		return 0, nil, err
	}
	return h.Type, f.body, nil
}

// end wants nothing more to come.
func (f *frameReader) end() error {
	switch _, err := f.r.ReadByte(); err {
	case nil:
		return proto.Errorf(proto.Protocol, "the peer goes on behind the end")
	case io.EOF:
		return nil
	default:
		return err
	}
}

// taker takes what a sender sends.
type taker interface {
	// ready is called before a frame is waited for.
	ready() error
	entry(*wire.Entry) error
	from(*wire.From) error
	data([]byte) error // good until it returns
	end(*wire.End) error
	total(*wire.Total) error
}

// takeFrames takes a sender's frames up to FILES_TOTAL.
func takeFrames(r *frameReader, t taker) error {
	for {
		if err := t.ready(); err != nil {
			return err
		}
		typ, body, err := r.next(wire.TypeEntry, wire.TypeFrom, wire.TypeData, wire.TypeEnd, wire.TypeTotal)
		if err != nil {
			return err
		}
		switch typ {
		case wire.TypeEntry:
			err = takeEntry(body, t)
		case wire.TypeFrom:
			m := new(wire.From)
			if err = wire.ParseBody(body, m); err == nil {
				err = t.from(m)
			}
		case wire.TypeData:
			err = t.data(body)
		case wire.TypeEnd:
			m := new(wire.End)
			if err = wire.ParseBody(body, m); err == nil {
				err = t.end(m)
			}
		default:
			m := new(wire.Total)
			if err = wire.ParseBody(body, m); err == nil {
				err = t.total(m)
			}
			return err
		}
		if err != nil {
			return err
		}
	}
}

func takeEntry(body []byte, t taker) error {
	if !utf8.Valid(body) { // JSON would repair it
		return proto.Errorf(proto.Unsafe, "a name that is not UTF-8 may not be written: %s", proto.EscapeText(string(body)))
	}
	m := new(wire.Entry)
	if err := wire.ParseBody(body, m); err != nil {
		return err
	}
	if m.Path == "" || len(m.Path) > proto.MaxPathBytes {
		return CheckPath(m.Path, false) // no frame could tell that it is refused
	}
	return t.entry(m)
}

var errCut = proto.Errorf(proto.Truncated, "the peer's frames ended before their end")
