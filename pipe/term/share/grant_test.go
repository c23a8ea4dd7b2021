package share_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto"
	"mesh/proto/wire"
)

// A request is shown to the sharer. A grant holds for all links of a node, also for
// later ones, and for no other node.
func TestGrant(t *testing.T) {
	t.Parallel()
	in := new(typed)
	told := make(chan string, 20) // sent by viewers; never closed
	r := sharetest.NewRoom(t, share.Options{
		Input: in, Size: share.SizeWriter,
		Joined: func(who share.Visitor, name string) { told <- "joined " + name + " " + who.ID },
		Asked:  func(who share.Visitor, name string) { told <- "asked " + name + " " + who.ID },
	})
	wantTold := func(want string) {
		t.Helper()
		if got := <-told; !strings.HasPrefix(got, want) || !strings.Contains(got, "mk1") {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30})
	other := r.View(share.Visitor{ID: "mk1other", Caps: sharetest.MayView}, wire.TermOpen{Mode: wire.TermScreen})
	if err := r.Grant(7); proto.CodeOf(err) != proto.Usage {
		t.Errorf("nobody: got %v", err)
	}
	v.Ask()
	v.Wait("to have asked", func() bool { return v.Ctl.Ask && v.Ctl.Rights == "tty:view" })
	wantTold("joined ")
	wantTold("joined ")
	wantTold("asked ")
	if l := r.List(); !l[0].Asks || l[1].Asks {
		t.Errorf("got %+v", l)
	}
	if err := r.Grant(1); err != nil {
		t.Fatal(err)
	}
	v.Wait("the right", func() bool {
		return v.Ctl.Rights == "tty:view,tty:control" && !v.Ctl.Ask && fmt.Sprint(v.Notices) == "[you may type here now]"
	})
	v.TypeKeys("a")
	eventually(t, "a key", func() bool { return in.String() == "a" })
	if cols, rows := r.Size(); cols != 90 || rows != 30 {
		t.Errorf("size is %d x %d, want that of who types", cols, rows)
	}
	again := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	if again.Session.Rights != "tty:view,tty:control" {
		t.Errorf("who comes again may %s", again.Session.Rights)
	}
	other.TypeKeys("b")
	other.WantEnd(proto.Capability)

	// Revoke it, and grant it again.
	if err := r.Revoke(1); err != nil {
		t.Fatal(err)
	}
	v.Wait("no right", func() bool { return v.Ctl.Rights == "tty:view" })
	v.TypeKeys("c") // it may be on its way, so this is no reason to cut it off
	v.Ask()
	v.Wait("to have asked", func() bool { return v.Ctl.Ask })
	if err := r.Revoke(1); err != nil { // which is the answer
		t.Fatal(err)
	}
	v.Wait("a refusal", func() bool { return !v.Ctl.Ask && v.Notices[len(v.Notices)-1] == "the sharer does not let you type" })
	if err := r.Grant(1); err != nil {
		t.Fatal(err)
	}
	v.TypeKeys("d")
	eventually(t, "a key", func() bool { return in.String() == "ad" })
	if err := r.Revoke(0); err != nil {
		t.Fatal(err)
	}
	late := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	if late.Session.Rights != "tty:view" {
		t.Errorf("after a revocation for all, who comes may %s", late.Session.Rights)
	}
	late.TypeKeys("e")
	late.WantEnd(proto.Capability)
	if got := in.String(); got != "ad" {
		t.Errorf("%q was typed, want ad", got)
	}
}

// A grant is not valid in another session.
func TestGrantEndsWithSession(t *testing.T) {
	t.Parallel()
	for range 2 {
		r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
		v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
		if v.Session.Rights != "tty:view" {
			t.Errorf("may %s", v.Session.Rights)
		}
		if err := r.Grant(1); err != nil {
			t.Fatal(err)
		}
	}
	r := sharetest.NewRoom(t, share.Options{}) // nothing to type into
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	if err := r.Grant(1); proto.CodeOf(err) != proto.Usage {
		t.Errorf("a stream: got %v", err)
	}
	v.Ask()
	v.Wait("an answer", func() bool { return fmt.Sprint(v.Notices) == "[nobody can type here]" })
}

// A TERM_CTL of a viewer may only ask for the right to type.
func TestHostileAsking(t *testing.T) {
	t.Parallel()
	var audit safeBuffer
	r := sharetest.NewRoom(t, share.Options{Input: new(typed), Audit: share.NewAudit(&audit)})
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
		v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
		v.Send(wire.AppendFrame(nil, m))
		v.WantEnd(proto.Protocol)
	}
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	for range 10000 {
		v.Ask()
	}
	r.Output([]byte("x"))
	v.Wait("output", func() bool { return v.Ctl.Ask && v.Screen.Text()[0] == "x" })
	if n := strings.Count(audit.String(), `"event":"ask"`); n != 1 {
		t.Errorf("asked 10000 times, %d times in the audit, want 1", n)
	}
}

// Viewers that join and leave in a loop, ask, and send their sizes leave no state
// behind.
func TestComeAndGo(t *testing.T) { // alone, since it looks at the memory
	r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	round := func() {
		var all []*sharetest.Viewer
		for i := range 200 {
			caps := proto.Caps(sharetest.MayView)
			if i%2 == 0 {
				caps = sharetest.MayType
			}
			all = append(all, r.View(share.Visitor{ID: fmt.Sprintf("mk1%d", i), Caps: caps}, wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30}))
		}
		for i, v := range all {
			if i%2 == 0 {
				v.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 100, Rows: 30}))
			}
			v.Ask()
			v.Leave()
			v.WantEnd(proto.OK)
		}
		r.Wait() // the tests' side of them
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

// A viewer is named by its number, by the label that others see, or by its node id. A
// name of several nodes is an error.
func TestNames(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
	visit := func(id, book, own string) {
		r.View(share.Visitor{ID: id, Name: book, Caps: sharetest.MayView}, wire.TermOpen{Mode: wire.TermScreen, Name: own})
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
