package pipe

import (
	"bufio"
	"io"

	"mesh/proto/link"
	"mesh/proto/wire"
)

// frameReadBytes is the size of the buffer between a link and the frames read
// from it.
const frameReadBytes = 64 << 10

// frameWriter writes whole frames to a link, for both transfers.
type frameWriter struct {
	link *link.Link
	// turn is a lock: it holds one value while no frame is being written. It is no
	// mutex because in [testing/synctest] time stands still while a goroutine waits
	// for one, and a write may block for as long as the peer reads nothing.
	turn   chan struct{}
	prefix []byte
}

func newFrameWriter(l *link.Link) *frameWriter {
	w := &frameWriter{link: l, turn: make(chan struct{}, 1)}
	w.unlock()
	return w
}

func (w *frameWriter) lock()   { <-w.turn }
func (w *frameWriter) unlock() { w.turn <- struct{}{} }

func (w *frameWriter) writeMessage(m wire.Message) error {
	frame := wire.AppendFrame(nil, m)
	w.lock()
	defer w.unlock()
	return w.link.Send(frame)
}

func (w *frameWriter) writeChunk(offset int64, data []byte) error {
	w.lock()
	defer w.unlock()
	w.prefix = wire.AppendChunkPrefix(w.prefix[:0], offset, len(data))
	return w.link.Send(w.prefix, data)
}

// frameTypes returns the types of the frames that the peer may send on a primary link.
func (x *exchange) frameTypes() (types []wire.Type) {
	if x.out != nil {
		types = append(types, wire.TypeAck, wire.TypeResume)
	}
	if x.in != nil {
		types = append(types, wire.TypeMeta, wire.TypeChunk, wire.TypeDone)
	}
	return types
}

// readFrame reads one frame of the given types and passes it to the transfer that it
// belongs to.
func (x *exchange) readFrame(r *bufio.Reader, types []wire.Type) error {
	h, err := wire.ReadHeader(r)
	if err != nil {
		return err
	}
	if err := h.Expect(types...); err != nil {
		return err
	}
	if h.Type == wire.TypeChunk {
		return x.in.readChunk(r, h.Bytes)
	}
	body := make([]byte, h.Bytes)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return x.handleMessage(h.Type, body)
}

// handleMessage parses the body of a message of a type that readFrame expects.
func (x *exchange) handleMessage(t wire.Type, body []byte) error {
	switch t {
	case wire.TypeMeta:
		var m wire.Meta
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		return x.in.handleMeta(&m)
	case wire.TypeDone:
		var d wire.Done
		if err := wire.ParseBody(body, &d); err != nil {
			return err
		}
		return x.in.handleDone(&d)
	case wire.TypeResume:
		var m wire.Resume
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		if err := x.out.handleResume(&m); err != nil {
			return err
		}
		x.noteResumed(&x.sent, m.Bytes)
		return nil
	}
	var a wire.Ack
	if err := wire.ParseBody(body, &a); err != nil {
		return err
	}
	x.counters.Sent.Store(a.Bytes)
	return x.out.handleAck(&a)
}
