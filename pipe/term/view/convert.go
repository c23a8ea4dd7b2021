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

// convert writes a form that is no screen.
func (v *view) convert(ctx context.Context) error {
	c, err := v.converter()
	if err != nil {
		return err
	}
	v.open(0, 0)
	done := make(chan error, 1) // one value, from the goroutine
	go func() { done <- v.copy(ctx, c) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && v.end.Missed > 0 && v.o.Strict {
		err = proto.Errorf(proto.Truncated, "%d bytes of output were missed", v.end.Missed)
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

// copy hands messages to a converter until its end.
func (v *view) copy(ctx context.Context, c converter) error {
	in := newInput(v.sender)
	for {
		select {
		case r := <-v.messages:
			err := r.err
			if err == nil {
				err = v.convertOne(ctx, c, r.m, in)
			}
			if errors.Is(err, io.EOF) {
				v.ended = r.err != nil
				return c.end()
			}
			if err != nil {
				return errors.Join(err, c.end())
			}
		case chunk, ok := <-in.chunks():
			in.take(chunk, ok)
		case <-v.sender.room:
			in.retry()
		case <-in.settled():
			return c.end()
		case broken := <-v.o.Broken:
			v.sender.hold(broken)
		case <-ctx.Done():
			return c.end()
		}
	}
}

func (v *view) convertOne(ctx context.Context, c converter, m any, in *input) error {
	switch m := m.(type) {
	case *wire.TermSession:
		if err := v.session(m); err != nil {
			return err
		}
		if v.o.In != nil {
			if !v.types {
				return errMayNotType
			}
			in.start(ctx, v.o.In)
		}
	case wire.TermSnapshot:
		v.jump(m)
	case *wire.TermCtl:
		in.typed(m.Typed)
		v.tell(m)
	case *wire.TermExit:
		v.exit(m)
	}
	if err := c.take(m); err != nil {
		return err
	}
	if seq, ok := behind(m); ok {
		v.pos = seq
		v.sender.shown(seq)
		in.heard()
	}
	return nil
}

var errMayNotType = proto.Errorf(proto.Capability, "the sharer does not let this viewer type")

// jump takes note of what a snapshot stands for.
func (v *view) jump(s wire.TermSnapshot) {
	missed := s.Seq - v.pos
	begins := v.o.Form == Cast && !v.pictured
	v.pictured = true
	if v.o.Form == Once || begins || missed <= 0 {
		return
	}
	v.end.Missed += missed
	v.notice(fmt.Sprintf("%d bytes of output were missed: the sharer no longer had them", missed))
}

func (v *view) notice(text string) {
	if v.o.Notice != nil {
		v.o.Notice(text)
	}
}

// tell tells what a sharer wants viewers to know.
func (v *view) tell(m *wire.TermCtl) {
	if m.Notice != "" {
		v.notice(proto.EscapeText(m.Notice))
	}
}
