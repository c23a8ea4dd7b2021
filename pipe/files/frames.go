package files

import (
	"bufio"
	"context"
	"io"
	"unicode/utf8"

	"mesh/proto"
	"mesh/proto/wire"
)

// bufferBytes is the size of the buffers of frames, and of reads that hash a file.
const bufferBytes = 128 << 10

// frameWriter writes frames to one of the two pipes. It buffers them until flush.
type frameWriter struct {
	w     *bufio.Writer
	frame []byte
}

func newFrameWriter(w io.Writer) *frameWriter {
	return &frameWriter{w: bufio.NewWriterSize(w, bufferBytes)}
}

func (f *frameWriter) writeMessage(m wire.Message) error {
	f.frame = wire.AppendFrame(f.frame[:0], m)
	_, err := f.w.Write(f.frame)
	return err
}

func (f *frameWriter) writeData(p []byte) error {
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
	// progress counts the data; nil for none. toAsk says that a FILES_COUNT is wanted for
	// it, asked that one may come between other frames.
	progress     *Progress
	toAsk, asked bool
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, bufferBytes)}
}

// readFrame reads a frame, which must have one of the given types. Its body is valid
// until the next call. A FILES_COUNT that may come is taken on the way.
func (f *frameReader) readFrame(want ...wire.Type) (wire.Type, []byte, error) {
	for {
		typ, body, err := f.readAny(want...)
		if err == nil && typ == wire.TypeCount {
			if err = f.takeCount(body); err == nil {
				continue
			}
		}
		return typ, body, err
	}
}

// takeCount takes a FILES_COUNT, which comes once at most.
func (f *frameReader) takeCount(body []byte) error {
	var m wire.Count
	if err := wire.ParseBody(body, &m); err != nil {
		return err
	}
	f.asked = false
	f.progress.setTotal(m.Bytes)
	return nil
}

// readAny is readFrame, but returns a FILES_COUNT too if that may come.
func (f *frameReader) readAny(want ...wire.Type) (wire.Type, []byte, error) {
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
	_, _ = f.r.Discard(len(header)) // Peek has read it
	if h.Type != wire.TypeCount || !f.asked {
		if err := h.Expect(want...); err != nil {
			return 0, nil, err
		}
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
	if h.Type == wire.TypeData {
		f.progress.add(int64(len(f.body)))
	}
	return h.Type, f.body, nil
}

// buffered reports whether the next frame, or the start of it, has arrived.
func (f *frameReader) buffered() bool { return f.r.Buffered() > 0 }

// ended waits for the next frame or the end of the pipe, and reports whether it is that.
func (f *frameReader) ended() bool {
	_, err := f.r.Peek(1)
	return err == io.EOF
}

// wantEnd waits for the end of the pipe. Another frame is an error.
func (f *frameReader) wantEnd() error {
	switch _, err := f.r.ReadByte(); err {
	case nil:
		return proto.Errorf(proto.Protocol, "the peer sends more after the end of the transfer")
	case io.EOF:
		return nil
	default:
		return err
	}
}

// frameHandler handles the frames of a sender. An error ends the transfer.
type frameHandler interface {
	// beforeRead is called before a frame is waited for.
	beforeRead(context.Context) error
	handleEntry(context.Context, *wire.Entry) error
	handleFrom(*wire.From) error
	handleData([]byte) error // the bytes are valid until it returns
	handleEnd(context.Context, *wire.End) error
	handleTotal(*wire.Total) error
}

// readFrames reads a sender's frames up to FILES_TOTAL.
func readFrames(ctx context.Context, r *frameReader, h frameHandler) error {
	for {
		if err := h.beforeRead(ctx); err != nil {
			return err
		}
		typ, body, err := r.readAny(wire.TypeEntry, wire.TypeFrom, wire.TypeData, wire.TypeHole, wire.TypeEnd, wire.TypeTotal)
		if err != nil {
			return err
		}
		switch typ {
		case wire.TypeCount: // may be the last frame before the sender waits: see beforeRead
			err = r.takeCount(body)
		case wire.TypeEntry:
			err = parseEntry(ctx, body, h)
		case wire.TypeFrom:
			m := new(wire.From)
			if err = wire.ParseBody(body, m); err == nil {
				err = h.handleFrom(m)
			}
		case wire.TypeData:
			err = h.handleData(body)
		case wire.TypeHole:
			m := new(wire.Hole)
			if err = wire.ParseBody(body, m); err == nil {
				r.progress.add(m.Bytes)
				err = handleHole(m, h)
			}
		case wire.TypeEnd:
			m := new(wire.End)
			if err = wire.ParseBody(body, m); err == nil {
				err = h.handleEnd(ctx, m)
			}
		default:
			m := new(wire.Total)
			if err = wire.ParseBody(body, m); err == nil {
				err = h.handleTotal(m)
			}
			return err
		}
		if err != nil {
			return err
		}
	}
}

// zeros are handed over in place of a hole.
var zeros [bufferBytes]byte

// handleHole hands the zeros of a FILES_HOLE over as data.
func handleHole(m *wire.Hole, h frameHandler) error {
	for left := m.Bytes; left > 0; {
		n := min(left, int64(len(zeros)))
		if err := h.handleData(zeros[:n]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// parseEntry checks the bytes of an entry before it parses them.
func parseEntry(ctx context.Context, body []byte, h frameHandler) error {
	if !utf8.Valid(body) { // JSON would repair it
		return proto.Errorf(proto.Unsafe, "a name that is not UTF-8 may not be written: %s", proto.EscapeText(string(body)))
	}
	m := new(wire.Entry)
	if err := wire.ParseBody(body, m); err != nil {
		return err
	}
	if m.Path == "" || len(m.Path) > proto.MaxPathBytes {
		return CheckPath(m.Path, AnyNames) // FILES_REFUSED cannot name such a path, so the transfer ends
	}
	return h.handleEntry(ctx, m)
}
