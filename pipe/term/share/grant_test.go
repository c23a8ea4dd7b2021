package share_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/proto/wire"
)

func (v *viewer) ask() { v.send(wire.AppendFrame(nil, &wire.TermCtl{Ask: true})) }

// Who asks is seen to ask; who is granted the right types, on all links of its node,
// also on one that comes later, and on no other's.
func TestGrant(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := newRoom(t, share.Options{Input: in, Size: share.SizeWriter})
	v := r.view(anyone(mayView), wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30})
	other := r.view(share.Visitor{ID: "mk1other", Caps: mayView}, wire.TermOpen{Mode: wire.TermScreen})
	if err := r.Grant(7); proto.CodeOf(err) != proto.Usage {
		t.Errorf("nobody: got %v", err)
	}
	v.ask()
	v.wait("to have asked", func() bool { return v.ctl.Ask && v.ctl.Rights == "tty:view" })
	if l := r.List(); !l[0].Asks || l[1].Asks {
		t.Errorf("got %+v", l)
	}
	if err := r.Grant(1); err != nil {
		t.Fatal(err)
	}
	v.wait("the right", func() bool {
		return v.ctl.Rights == "tty:view,tty:control" && !v.ctl.Ask && fmt.Sprint(v.notices) == "[you may type here now]"
	})
	v.typeKeys("a")
	eventually(t, "a key", func() bool { return in.String() == "a" })
	if cols, rows := r.Size(); cols != 90 || rows != 30 {
		t.Errorf("size is %d x %d, want that of who types", cols, rows)
	}
	again := r.view(anyone(mayView), wire.TermOpen{Mode: wire.TermScreen})
	if again.session.Rights != "tty:view,tty:control" {
		t.Errorf("who comes again may %s", again.session.Rights)
	}
	other.typeKeys("b")
	other.end(proto.Capability)

	// Taken back, and given again.
	if err := r.Revoke(1); err != nil {
		t.Fatal(err)
	}
	v.wait("no right", func() bool { return v.ctl.Rights == "tty:view" })
	v.typeKeys("c") // it may be on its way, so this is no reason to cut it off
	v.ask()
	v.wait("to have asked", func() bool { return v.ctl.Ask })
	if err := r.Revoke(1); err != nil { // which is the answer
		t.Fatal(err)
	}
	v.wait("a refusal", func() bool { return !v.ctl.Ask && v.notices[len(v.notices)-1] == "the sharer does not let you type" })
	if err := r.Grant(1); err != nil {
		t.Fatal(err)
	}
	v.typeKeys("d")
	eventually(t, "a key", func() bool { return in.String() == "ad" })
	if err := r.Revoke(0); err != nil {
		t.Fatal(err)
	}
	late := r.view(anyone(mayType), wire.TermOpen{Mode: wire.TermScreen})
	if late.session.Rights != "tty:view" {
		t.Errorf("after a revocation for all, who comes may %s", late.session.Rights)
	}
	late.typeKeys("e")
	late.end(proto.Capability)
	if got := in.String(); got != "ad" {
		t.Errorf("%q was typed, want ad", got)
	}
}

// A new session knows of no grant.
func TestGrantEndsWithSession(t *testing.T) {
	t.Parallel()
	for range 2 {
		r := newRoom(t, share.Options{Input: new(typed)})
		v := r.view(anyone(mayView), wire.TermOpen{Mode: wire.TermScreen})
		if v.session.Rights != "tty:view" {
			t.Errorf("may %s", v.session.Rights)
		}
		if err := r.Grant(1); err != nil {
			t.Fatal(err)
		}
	}
	r := newRoom(t, share.Options{}) // nothing to type into
	v := r.view(anyone(mayView), wire.TermOpen{Mode: wire.TermScreen})
	if err := r.Grant(1); proto.CodeOf(err) != proto.Usage {
		t.Errorf("a stream: got %v", err)
	}
	v.ask()
	v.wait("an answer", func() bool { return fmt.Sprint(v.notices) == "[nobody can type here]" })
}

// A TERM_CTL of a viewer asks for the right to type, and is nothing else.
func TestHostileAsking(t *testing.T) {
	t.Parallel()
	var audit safeBuffer
	r := newRoom(t, share.Options{Input: new(typed), Audit: share.NewAudit(&audit)})
	for _, m := range []*wire.TermCtl{
		{},
		{Ask: true, Rights: "tty:view,tty:control"},
		{Ask: true, Viewers: 1},
		{Ask: true, Writers: []string{"eve"}},
		{Ask: true, Paused: true},
		{Ask: true, Notice: "x"},
		{Ask: true, Typed: 1},
		{Ask: true, Seq: 1},
	} {
		v := r.view(anyone(mayView), wire.TermOpen{Mode: wire.TermScreen})
		v.send(wire.AppendFrame(nil, m))
		v.end(proto.Protocol)
	}
	v := r.view(anyone(mayView), wire.TermOpen{Mode: wire.TermScreen})
	for range 10000 {
		v.ask()
	}
	r.Output([]byte("x"))
	v.wait("output", func() bool { return v.ctl.Ask && v.screen.Text()[0] == "x" })
	if n := strings.Count(audit.String(), `"event":"ask"`); n != 1 {
		t.Errorf("asked 10000 times, %d times in the audit, want 1", n)
	}
}

// Viewers that come and go in a loop, ask, and send their sizes leave nothing behind.
func TestComeAndGo(t *testing.T) { // alone, since it looks at the memory
	r := newRoom(t, share.Options{Input: new(typed)})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	round := func() {
		var all []*viewer
		for i := range 200 {
			caps := proto.Caps(mayView)
			if i%2 == 0 {
				caps = mayType
			}
			all = append(all, r.view(share.Visitor{ID: fmt.Sprintf("mk1%d", i), Caps: caps}, wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30}))
		}
		for i, v := range all {
			if i%2 == 0 {
				v.send(wire.AppendFrame(nil, &wire.TermResize{Cols: 100, Rows: 30}))
			}
			v.ask()
			_ = v.to.Close()
			v.end(proto.OK)
		}
		r.wg.Wait() // the tests' side of them
	}
	round()
	before := heap()
	for range 5 {
		round()
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("1000 viewers left %d bytes behind", grown)
	}
	if l := r.List(); len(l) != 0 {
		t.Errorf("%d viewers are left", len(l))
	}
}

// The commands name a viewer by number, by the name that all see, or by its id; what
// stands for several nodes stands for none.
func TestNames(t *testing.T) {
	t.Parallel()
	r := newRoom(t, share.Options{Input: new(typed)})
	visit := func(id, book, own string) {
		r.view(share.Visitor{ID: id, Name: book, Caps: mayView}, wire.TermOpen{Mode: wire.TermScreen, Name: own})
	}
	visit("mk1aaaaaaaaaa", "alice", "")
	visit("mk1aaaaaaaaaa", "alice", "")      // the same node
	visit("mk1bbbbbbbbbb", "", "alice")      // says that it is alice
	visit("mk1cccccccccc", "", "a\tb\x1b[m") // odd characters
	visit("mk1dddddddddd", "", `x\`)
	visit("mk1eeeeeeeeee", "5", "") // called like a number
	visit("mk1ffffffffff", "bob", "")
	visit("mk1gggggggggg", "bob", "")
	for who, want := range map[string]string{
		"alice": "mk1aaaaaaaaaa", "alice (mk1bbbbbbb)": "mk1bbbbbbbbbb", `a\x09b\x1b[m (mk1ccccccc)`: "mk1cccccccccc",
		`x\\ (mk1ddddddd)`: "mk1dddddddddd", "5": "mk1dddddddddd", "6": "mk1eeeeeeeeee", "mk1eeeeeeeeee": "mk1eeeeeeeeee",
		"bob": "several", "7": "mk1ffffffffff", "": "no viewer", "ALICE": "no viewer", "alice (mk1": "no viewer", "0": "no viewer",
	} {
		got, err := share.Find(r.Session, who)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q, want %q", who, got, want)
		}
	}
}
