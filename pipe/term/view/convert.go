package view

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/wire"
)

// runConverter writes a form other than [Screen].
func (v *view) runConverter(ctx context.Context) error {
	c, err := v.converter()
	if err != nil {
		return err
	}
	v.sendOpen(0, 0)
	done := make(chan error, 1) // one value, from the goroutine
	go func() { done <- v.convertAll(ctx, c) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && v.result.Missed > 0 && v.o.Strict {
		err = proto.Errorf(proto.Truncated, "%d bytes of output were missed", v.result.Missed)
	}
	return err
}

func (v *view) converter() (converter, error) {
	switch v.o.Form {
	case Raw:
		if f, ok := v.o.Out.(*os.File); ok && term.IsTerminal(f) {
			return newFiltered(f)
		}
		return &raw{w: v.o.Out}, nil
	case Plain:
		return newPlain(v.o.Out), nil
	case Cast:
		return &recording{w: v.o.Out}, nil
	case JSON:
		return &objects{w: v.o.Out}, nil
	case Once:
		return &once{w: v.o.Out}, nil
	}
	return nil, proto.Errorf(proto.Usage, "unknown form %q", v.o.Form)
}

// convertAll gives messages to a converter until the end.
func (v *view) convertAll(ctx context.Context, c converter) error {
	in := newInput(v.sender, v.o, v.asksIdle)
	for {
		select {
		case r := <-v.messages:
			err := r.err
			if err == nil {
				err = v.convertMessage(ctx, c, r.msg, in)
			}
			if errors.Is(err, io.EOF) {
				v.peerEnded = r.err != nil
				return c.end()
			}
			if err != nil {
				return errors.Join(err, c.end())
			}
		case chunk, ok := <-in.chunks():
			in.sendChunk(chunk, ok)
		case <-v.sender.room:
			in.retry()
		case <-in.settled():
			return errors.Join(in.unconfirmed(), c.end())
		case broken := <-v.o.Broken:
			v.sender.setBroken(broken, false)
		case <-ctx.Done():
			return c.end()
		}
	}
}

func (v *view) convertMessage(ctx context.Context, c converter, m any, in *input) error {
	switch m := m.(type) {
	case *wire.TermSession:
		if err := v.takeSession(m); err != nil {
			return err
		}
		if v.o.In != nil {
			if !v.canType {
				return errMayNotType
			}
			in.start(ctx, v.o.In)
		}
	case wire.TermSnapshot:
		v.noteMissed(m)
	case *wire.TermCtl:
		in.setAccepted(m.Typed)
		if m.Notice != "" {
			v.notify(proto.EscapeText(m.Notice))
		}
	case *wire.TermIdle:
		in.setIdle(m)
		return nil
	case *wire.TermExit:
		v.takeExit(m)
	}
	if err := c.convert(m); err != nil {
		return err
	}
	if seq, ok := positionAfter(m); ok {
		v.pos = seq
		v.sender.acknowledge(seq)
		in.setPos(seq)
	}
	return nil
}

var errMayNotType = proto.Errorf(proto.Capability, "the sharer does not let this viewer type")

// noteMissed counts the output that a snapshot replaces.
func (v *view) noteMissed(s wire.TermSnapshot) {
	missed := s.Seq - v.pos
	begins := v.o.Form == Cast && !v.hasSnapshot
	v.hasSnapshot = true
	if v.o.Form == Once || begins || missed <= 0 {
		return
	}
	v.result.Missed += missed
	v.notify(fmt.Sprintf("%d bytes of output were missed: the sharer no longer had them", missed))
}

func (v *view) notify(text string) {
	if v.o.Notice != nil {
		v.o.Notice(text)
	}
}
