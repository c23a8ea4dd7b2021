package share_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto"
	"mesh/proto/wire"
)

// After a revocation, input that was queued before does not reach the terminal either,
// except what is already being written.
func TestRevokeTakesBack(t *testing.T) {
	t.Parallel()
	for what, act := range map[string]func(*sharetest.Room, *sharetest.Viewer) error{
		"kick":   func(r *sharetest.Room, _ *sharetest.Viewer) error { return r.Kick(1) },
		"revoke": func(r *sharetest.Room, _ *sharetest.Viewer) error { return r.Revoke(1) },
		"a link that ends": func(_ *sharetest.Room, v *sharetest.Viewer) error {
			v.Send(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw}))
			v.WantEnd(proto.Protocol)
			return nil
		},
	} {
		stuck := &stuckTerminal{go1: make(chan struct{})}
		r := sharetest.NewRoom(t, share.Options{Input: stuck})
		v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		v.TypeKeys("a")
		<-stuck.began()
		v.TypeKeys("rm -rf /\r")
		eventually(t, "keys in the queue", func() bool { return share.Queued(r.Session) == 10 })
		if err := act(r, v); err != nil {
			t.Fatal(err)
		}
		r.Type([]byte("s"))
		close(stuck.go1)
		eventually(t, "the sharer's key", func() bool { return strings.HasSuffix(stuck.String(), "s") })
		if got := stuck.String(); got != "as" {
			t.Errorf("%s: %q was typed, want as", what, got)
		}
	}
}

// A viewer whose right was revoked does not set the size either.
func TestRevokedSize(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in, Size: share.SizeWriter})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	v.TypeKeys("a")
	eventually(t, "a key", func() bool { return in.String() == "a" })
	if err := r.Revoke(1); err != nil {
		t.Fatal(err)
	}
	v.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 10, Rows: 10}))
	v.Leave()
	v.WantEnd(proto.OK)
	if cols, rows := r.Size(); cols != 80 || rows != 24 {
		t.Errorf("size is %d x %d, want 80 x 24", cols, rows)
	}
}

// A typist whose link ends while the terminal accepts nothing leaves.
func TestGoneWriterLeaves(t *testing.T) {
	t.Parallel()
	stuck := &stuckTerminal{go1: make(chan struct{})}
	r := sharetest.NewRoom(t, share.Options{Input: stuck})
	ctx, cancel := context.WithCancel(t.Context())
	from, says := io.Pipe()
	shown, to := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, from, to, sharetest.Visitor(sharetest.MayType)) }()
	go func() {
		_, _ = says.Write(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermScreen}))
		for range 20 {
			_, _ = says.Write(wire.AppendTermIn(nil, []byte(strings.Repeat("x", proto.MaxTermInBytes))))
		}
		_ = says.Close()
	}()
	_, _ = io.Copy(io.Discard, shown) // to the end of the sharer's side
	cancel()
	select {
	case <-served:
	case <-time.After(sharetest.Patience / 4):
		t.Errorf("the viewer is still there: %+v", r.List())
	}
	close(stuck.go1)
}

// A paste that floods the terminal is ended when the sharer types: the sharer's keys are
// not a part of it.
func TestSharerEndsFloodingPaste(t *testing.T) {
	t.Parallel()
	stuck := &stuckTerminal{go1: make(chan struct{})}
	r := sharetest.NewRoom(t, share.Options{Input: stuck})
	w := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	w.TypeKeys("\x1b[200~")
	<-stuck.began()
	for range 3 {
		w.TypeKeys(strings.Repeat("x", proto.MaxTermInBytes))
	}
	eventually(t, "a flood in the queue", func() bool { return share.Queued(r.Session) > 3*proto.MaxTermInBytes })
	r.Type([]byte("\x03"))
	close(stuck.go1)
	eventually(t, "the sharer's key", func() bool { return strings.HasSuffix(stuck.String(), "\x03") })
	if got, want := stuck.String(), "\x1b[200~\x1b[201~\x03"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
