package view

import (
	"bufio"
	"errors"
	"io"

	"mesh/proto"
	"mesh/proto/wire"
)

// output is a TERM_OUT.
type output struct {
	seq  int64
	data []byte
}

// receiver reads the sharer's frames and checks their order.
type receiver struct {
	r     *bufio.Reader
	idle  bool  // TERM_IDLE may come
	seq   int64 // of the next byte
	begun bool
	ended bool
}

func newReceiver(r io.Reader, idle bool) *receiver {
	return &receiver{r: bufio.NewReaderSize(r, 64<<10), idle: idle}
}

// readMessage returns the next message: a *wire.TermSession first, then an output, a
// wire.TermSnapshot, *wire.TermResize, *wire.TermMark, *wire.TermCtl, *wire.TermIdle
// or *wire.TermExit. It returns [io.EOF] only after the last one.
func (r *receiver) readMessage() (any, error) {
	h, err := wire.ReadHeader(r.r)
	switch {
	case errors.Is(err, io.EOF) && r.ended:
		return nil, io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errCut
	case err != nil:
		return nil, err
	}
	want := []wire.Type{wire.TypeTermOut, wire.TypeTermSnapshot, wire.TypeTermResize, wire.TypeTermMark, wire.TypeTermCtl, wire.TypeTermExit}
	if r.idle {
		want = append(want, wire.TypeTermIdle)
	}
	if r.ended {
		want = nil
	} else if !r.begun {
		want = []wire.Type{wire.TypeTermSession}
	}
	if err := h.Expect(want...); err != nil {
		return nil, err
	}
	body := make([]byte, h.Bytes)
	if _, err := io.ReadFull(r.r, body); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errCut
	} else if err != nil {
		return nil, err
	}
	return r.parse(h.Type, body)
}

var errCut = proto.Errorf(proto.Truncated, "the sharer's frames ended before their end")

func (r *receiver) parse(t wire.Type, body []byte) (any, error) {
	switch t {
	case wire.TypeTermOut:
		seq, data, err := wire.ParseTermOut(body)
		if err == nil {
			err = r.checkPosition(t, seq)
			r.seq += int64(len(data))
		}
		return output{seq, data}, err
	case wire.TypeTermSnapshot:
		s, err := wire.ParseTermSnapshot(body)
		if err == nil && s.Seq < r.seq {
			err = proto.Errorf(proto.Protocol, "%s of what was shown already", t)
		}
		r.seq = s.Seq
		return s, err
	case wire.TypeTermSession:
		m := new(wire.TermSession)
		err := wire.ParseBody(body, m)
		r.begun, r.seq = true, m.Seq
		return m, err
	case wire.TypeTermResize:
		m := new(wire.TermResize)
		err := wire.ParseBody(body, m)
		return m, errors.Join(err, r.checkPosition(t, m.Seq))
	case wire.TypeTermMark:
		m := new(wire.TermMark)
		err := wire.ParseBody(body, m)
		return m, errors.Join(err, r.checkPosition(t, m.Seq))
	case wire.TypeTermCtl:
		m := new(wire.TermCtl)
		return m, wire.ParseBody(body, m)
	case wire.TypeTermIdle:
		m := new(wire.TermIdle)
		return m, wire.ParseBody(body, m)
	default:
		m := new(wire.TermExit)
		err := wire.ParseBody(body, m)
		r.ended = true
		return m, errors.Join(err, r.checkPosition(t, m.Seq))
	}
}

// checkPosition checks that a message has the position of the output so far.
func (r *receiver) checkPosition(t wire.Type, seq int64) error {
	if seq == r.seq {
		return nil
	}
	return proto.Errorf(proto.Protocol, "%s at %d, the output is at %d", t, seq, r.seq)
}
