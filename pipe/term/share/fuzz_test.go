package share_test

import (
	"bytes"
	"io"
	"testing"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto"
	"mesh/proto/wire"
)

// Whatever a viewer sends, Serve returns a documented code, and the session goes on for
// others. A viewer that may only view types nothing and changes no size.
func FuzzViewer(f *testing.F) {
	open := wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30})
	for _, frames := range [][]byte{
		nil,
		wire.AppendTermIn(nil, []byte("ls\r")),
		wire.AppendTermIn(nil, []byte("\x1b[200~paste")),
		wire.AppendFrame(nil, &wire.TermAck{Seq: 6}),
		wire.AppendFrame(wire.AppendFrame(nil, &wire.TermAck{Seq: 6}), &wire.TermAck{Seq: 5}),
		wire.AppendFrame(nil, &wire.TermAck{Seq: 1 << 40}),
		wire.AppendFrame(nil, &wire.TermResize{Cols: 100, Rows: 30}),
		wire.AppendFrame(nil, &wire.TermResize{Seq: 1, Cols: 100, Rows: 30}),
		wire.AppendFrame(nil, &wire.TermCtl{Ask: true}),
		wire.AppendFrame(nil, &wire.TermCtl{Ask: true, Rights: "tty:view,tty:control"}),
		wire.AppendFrame(nil, &wire.TermMark{Text: "x"}),
		wire.AppendFrame(nil, &wire.TermIdle{Typed: 1}),
	} {
		f.Add(append(open[:len(open):len(open)], frames...), true)
		f.Add(append(open[:len(open):len(open)], frames...), false)
	}
	f.Add(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw, History: true}), true)
	f.Add(wire.AppendTermIn(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw, Idle: true}), []byte("ls\r")), true)
	f.Fuzz(func(t *testing.T, in []byte, types bool) {
		input := new(typed)
		s := share.New(share.Options{Cols: 80, Rows: 24, Input: input, Size: share.SizeWriter})
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			s.Feed()
		}()
		s.Output([]byte("output"))
		from, w := io.Pipe()
		r, to := io.Pipe()
		go func() { _, _ = io.Copy(io.Discard, r) }()
		go func() {
			_, _ = io.Copy(w, bytes.NewReader(in))
			_ = w.Close()
		}()
		caps := proto.Caps(sharetest.MayView)
		if types {
			caps = sharetest.MayType
		}
		err := s.Serve(t.Context(), from, to, sharetest.Visitor(caps))
		switch code := proto.CodeOf(err); code {
		case proto.OK, proto.Protocol, proto.Truncated, proto.Capability:
		default:
			t.Errorf("ended with %v (%v)", code, err)
		}
		cols, rows := s.Size()
		if !types && (input.String() != "" || cols != 80 || rows != 24) {
			t.Errorf("typed %q, size %d x %d", input.String(), cols, rows)
		}
		if l := s.List(); len(l) != 0 {
			t.Errorf("is still there: %+v", l)
		}
		s.Exit(0, 0)
		<-fed
	})
}
