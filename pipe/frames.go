package pipe

import (
	"bufio"
	"io"

	"mesh/proto/link"
	"mesh/proto/wire"
)

// frameReadBytes is how much is read off a link at once.
const frameReadBytes = 64 << 10

// frameWriter writes whole frames to a link, for both transfers.
type frameWriter struct {
	link *link.Link
	// turn holds one value while nobody writes. It is not a mutex because in
	// [testing/synctest] time stands still while somebody waits for one, and a
	// write may block for as long as the peer takes nothing.
	turn   chan struct{}
	prefix []byte
}

func newFrameWriter(l *link.Link) *frameWriter {
	f := &frameWriter{link: l, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

func (f *frameWriter) yield() { f.turn <- struct{}{} }

func (f *frameWriter) message(m wire.Message) error {
	frame := wire.AppendFrame(nil, m)
	<-f.turn
	defer f.yield()
	return f.link.Send(frame)
}

func (f *frameWriter) chunk(offset int64, data []byte) error {
	<-f.turn
	defer f.yield()
	f.prefix = wire.AppendChunkPrefix(f.prefix[:0], offset, len(data))
	return f.link.Send(f.prefix, data)
}

// frame reads one frame and gives it to the transfer that it belongs to.
func (x *exchange) frame(r *bufio.Reader) error {
	h, err := wire.ReadHeader(r)
	if err != nil {
		return err
	}
	var want []wire.Type
	if x.out != nil {
		want = append(want, wire.TypeAck, wire.TypeResume)
	}
	if x.in != nil {
		want = append(want, wire.TypeMeta, wire.TypeChunk, wire.TypeDone)
	}
	if err := h.Expect(want...); err != nil {
		return err
	}
	if h.Type == wire.TypeChunk {
		return x.in.chunk(r, h.Bytes)
	}
	body := make([]byte, h.Bytes)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return x.message(h.Type, body)
}

func (x *exchange) message(t wire.Type, body []byte) error {
	switch t {
	case wire.TypeMeta:
		var m wire.Meta
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		return x.in.meta(&m)
	case wire.TypeDone:
		var d wire.Done
		if err := wire.ParseBody(body, &d); err != nil {
			return err
		}
		return x.in.finish(&d)
	case wire.TypeResume:
		var m wire.Resume
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		return x.out.resume(&m)
	}
	var a wire.Ack
	if err := wire.ParseBody(body, &a); err != nil {
		return err
	}
	x.counters.Sent.Store(a.Bytes)
	return x.out.ack(&a)
}
