package share_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto"
	"mesh/proto/wire"
)

// While the terminal is slow, nobody gets between two parts of a typist's input, and none
// of it is dropped.
func TestSlowTerminalIsNoPause(t *testing.T) {
	t.Parallel()
	for what, marks := range map[string][2]string{"marked": {"\x1b[200~", "\x1b[201~"}, "not marked": {"", ""}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			stuck := &stuckTerminal{go1: make(chan struct{})}
			r := sharetest.NewRoom(t, share.Options{Input: stuck})
			a := r.View(share.Visitor{ID: "mk1a", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen})
			b := r.View(share.Visitor{ID: "mk1b", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen})
			text := marks[0] + strings.Repeat("0123456789abcdef", 8<<10) + marks[1]
			for part := range slices.Chunk([]byte(text), proto.MaxTermInBytes) {
				a.TypeKeys(string(part))
			}
			<-stuck.began()
			b.TypeKeys("b")
			<-time.After(2200 * time.Millisecond) // longer than the pause that ends a paste
			close(stuck.go1)
			eventually(t, "all input", func() bool { return len(stuck.String()) == len(text)+1 })
			if got := stuck.String(); got != text+"b" {
				t.Errorf("the other key is at %d, want it at the end", strings.Index(got, "b\x1b"))
			}
			a.Wait("confirmation", func() bool { return a.Ctl.Typed == int64(len(text)) })
		})
	}
}

// floodOf has v type more than the terminal accepts now, without marks.
func floodOf(t *testing.T, r *sharetest.Room, v *sharetest.Viewer, stuck *stuckTerminal) {
	t.Helper()
	for range 4 {
		v.TypeKeys(strings.Repeat("x", proto.MaxTermInBytes))
	}
	<-stuck.began()
	eventually(t, "a full queue", func() bool { return share.Queued(r.Session) == 4*proto.MaxTermInBytes })
}

// If the sharer's keys drop a flood, all of it is dropped that follows without a pause,
// and its typist is told.
func TestFloodIsDroppedToItsEnd(t *testing.T) {
	t.Parallel()
	stuck := &stuckTerminal{go1: make(chan struct{})}
	r := sharetest.NewRoom(t, share.Options{Input: stuck})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	floodOf(t, r, v, stuck)
	r.Type([]byte("\x03"))
	v.TypeKeys("the rest of the flood")
	close(stuck.go1)
	sent := int64(4*proto.MaxTermInBytes + len("the rest of the flood"))
	v.Wait("a notice", func() bool { return len(v.Notices) > 0 && strings.Contains(v.Notices[0], "dropped") })
	v.Wait("all confirmed", func() bool { return v.Ctl.Typed == sent })
	<-time.After(400 * time.Millisecond) // the pause after a flood
	v.TypeKeys("y")
	eventually(t, "a key after the flood", func() bool { return strings.HasSuffix(stuck.String(), "y") })
	if got, want := strings.TrimLeft(stuck.String(), "x"), "\x03y"; got != want {
		t.Errorf("got %q behind the flood, want %q", got, want)
	}
}

// A viewer's Ctrl-C drops the flood that the viewer has sent before, in each encoding.
func TestInterruptDropsFlood(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"\x03", "\x1b[99;5u", "\x1b[27;5;99~", "\x1b[201~\x03"} {
		stuck := &stuckTerminal{go1: make(chan struct{})}
		r := sharetest.NewRoom(t, share.Options{Input: stuck})
		v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		rest, marked := strings.CutPrefix(key, "\x1b[201~")
		if marked {
			v.TypeKeys("\x1b[200~")
			eventually(t, "the paste", func() bool { return share.Queued(r.Session) > 0 })
			for range 3 {
				v.TypeKeys(strings.Repeat("x", proto.MaxTermInBytes))
			}
			eventually(t, "a flood", func() bool { return share.Queued(r.Session) > 3*proto.MaxTermInBytes })
		} else {
			floodOf(t, r, v, stuck)
		}
		for range 14 { // more than has room in the queue
			v.TypeKeys(strings.Repeat("x", proto.MaxTermInBytes))
		}
		v.TypeKeys(key)
		eventually(t, "the flood is dropped", func() bool { return share.Queued(r.Session) == len(key) })
		close(stuck.go1)
		eventually(t, "Ctrl-C", func() bool { return strings.HasSuffix(stuck.String(), rest) })
		if got := strings.Count(stuck.String(), "x"); got > 2*proto.MaxTermInBytes {
			t.Errorf("%q: %d bytes of the flood were typed", key, got)
		}
		if got := strings.Count(stuck.String(), "\x1b[201~"); marked && got != 1 {
			t.Errorf("%q: the paste is ended %d times, want once", key, got)
		}
	}
}

// Ctrl-C drops nothing of what a person types.
func TestInterruptKeepsKeys(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	var want strings.Builder
	for range 50 {
		v.TypeKeys("ihello\r")
		v.TypeKeys("\x03")
		want.WriteString("ihello\r\x03")
	}
	eventually(t, "all keys", func() bool { return len(in.String()) >= len(want.String()) })
	if got := in.String(); got != want.String() {
		t.Errorf("got %q", got)
	}
}

// A node that is disconnected, or may not type any more, does not come back with another
// key and the same token. Nodes that have been here do, and so do those with another
// token, and those of the list of authorized peers.
func TestTokenIsClosed(t *testing.T) {
	t.Parallel()
	who := func(id, token string) share.Visitor {
		return share.Visitor{ID: "mk1" + id, Caps: sharetest.MayType, Token: token}
	}
	for what, do := range map[string]func(*share.Session) error{
		"kick":   func(s *share.Session) error { return s.Kick(1) },
		"revoke": func(s *share.Session) error { return s.Revoke(1) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
			r.View(who("bad", "control"), wire.TermOpen{Mode: wire.TermScreen})
			friend := r.View(who("friend", "control"), wire.TermOpen{Mode: wire.TermScreen})
			friend.Leave()
			friend.WantEnd(proto.OK)
			if err := do(r.Session); err != nil {
				t.Fatal(err)
			}
			from, to := ioPipe(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermScreen}))
			if err := r.Serve(t.Context(), from, to, who("bad again", "control")); proto.CodeOf(err) != proto.Declined {
				t.Errorf("a new node with the token: got %v, want %v", err, proto.Declined)
			}
			for _, v := range []share.Visitor{who("friend", "control"), who("new", "view"), who("listed", "")} {
				r.View(v, wire.TermOpen{Mode: wire.TermScreen})
			}
		})
	}
}
