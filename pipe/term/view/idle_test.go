package view_test

import (
	"os"
	"testing"
	"time"

	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/wire"
)

// startInput begins a view that has typed "make\n", which is all its input, and knows
// that the terminal has accepted it.
func startInput(t *testing.T, o view.Options) *viewing {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	o.Form, o.In = view.Raw, r
	v := start(t, o)
	v.session(mayType, 80, 24)
	if _, err := w.WriteString("make\n"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	v.waitTyped("make\n")
	v.message(&wire.TermCtl{Viewers: 1, Typed: 5})
	return v
}

// leaves waits for the end of the viewer's frames.
func (v *viewing) leaves() {
	v.t.Helper()
	v.wait("end of the viewer's pipe", func() bool { return v.sharer.err != nil })
	_ = v.w.Close()
	v.wantEnd(view.End{}, proto.OK)
}

// stays checks that the view has not ended after a time that is longer than the echo.
func (v *viewing) stays(while string) {
	v.t.Helper()
	select {
	case <-v.done:
		v.t.Errorf("%s: the viewer has left", while)
	case <-time.After(time.Second):
	}
}

// The end of the input ends the view once TERM_IDLE tells of all input, and the output
// before it was written.
func TestInputIdle(t *testing.T) {
	t.Parallel()
	v := startInput(t, view.Options{TellsIdle: true})
	v.message(&wire.TermIdle{})
	v.stays("idle before the input")
	v.message(&wire.TermIdle{Typed: 4})
	v.stays("idle after a part of the input")
	v.message(&wire.TermIdle{Typed: 5, Seq: 4})
	v.stays("output is on its way")
	v.output("made")
	v.leaves()
	if got := v.out.String(); got != "made" || !v.opened.Idle {
		t.Errorf("got %q, asked for TERM_IDLE: %v; want \"made\", true", got, v.opened.Idle)
	}
}

// Where silence ends the view, or nothing, it does not ask for TERM_IDLE.
func TestInputAsksNoIdle(t *testing.T) {
	t.Parallel()
	for what, o := range map[string]view.Options{
		"older sharer": {},
		"linger":       {TellsIdle: true, Linger: time.Millisecond},
		"to the end":   {TellsIdle: true, ToEnd: true},
	} {
		v := startInput(t, o)
		if v.opened.Idle {
			t.Errorf("%s: it asks for TERM_IDLE", what)
		}
		if !o.ToEnd {
			v.leaves()
		}
	}
}

// A sharer that never tells that it is idle, or tells the same again and again, holds
// the view no longer than the user wants.
func TestInputNeverIdle(t *testing.T) {
	t.Parallel()
	v := startInput(t, view.Options{TellsIdle: true})
	for range 100_000 {
		v.message(&wire.TermIdle{Typed: 4})
	}
	v.stays("a flood")
	v.cancel(proto.Errorf(proto.Interrupted, "SIGINT"))
	v.wantEnd(view.End{}, proto.Interrupted)
}

// The same TERM_IDLE again does not put the end off.
func TestInputIdleFlood(t *testing.T) {
	t.Parallel()
	v := startInput(t, view.Options{TellsIdle: true})
	frame := wire.AppendFrame(nil, &wire.TermIdle{Typed: 5})
	go func() {
		for {
			if _, err := v.w.Write(frame); err != nil {
				return
			}
		}
	}()
	v.leaves()
}
