package share_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto"
	"mesh/proto/wire"
)

// eventually waits until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(sharetest.Patience); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// A viewer that may only view is disconnected at its first key or size. Neither reaches
// the terminal.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	for what, frame := range map[string][]byte{
		"key":   wire.AppendTermIn(nil, []byte("x")),
		"paste": wire.AppendTermIn(nil, []byte("\x1b[200~rm\r\x1b[201~")),
		"reply": wire.AppendTermIn(nil, []byte("\x1b[?62c")),
		"size":  wire.AppendFrame(nil, &wire.TermResize{Cols: 10, Rows: 10}),
	} {
		in := new(typed)
		r := sharetest.NewRoom(t, share.Options{Input: in, Size: share.SizeWriter})
		v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Cols: 10, Rows: 10})
		other := r.View(share.Visitor{ID: "mk1other", Caps: sharetest.MayView}, wire.TermOpen{Mode: wire.TermScreen})
		v.Send(frame)
		v.WantEnd(proto.Capability)
		other.Wait("the other alone", func() bool { return other.Ctl.Viewers == 1 })
		if got := in.String(); got != "" {
			t.Errorf("%s: %q was typed", what, got)
		}
		if cols, rows := r.Size(); cols != 80 || rows != 24 {
			t.Errorf("%s: size is %d x %d", what, cols, rows)
		}
	}
	r := sharetest.NewRoom(t, share.Options{})
	source := share.Visitor{ID: "mk1x", Caps: proto.CapTTYControl}
	if err := r.Serve(t.Context(), nil, nil, source); proto.CodeOf(err) != proto.Capability {
		t.Errorf("who may type but not view: got %v", err)
	}
}

// Keys, sequences and pastes stay whole when several viewers type at once.
func TestWriters(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in})
	var writers []*sharetest.Viewer
	for i := range 3 {
		writers = append(writers, r.View(share.Visitor{ID: fmt.Sprintf("mk1writer%d", i), Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen}))
	}
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() {
			w.TypeKeys("\x1b[200~" + strings.Repeat(string(rune('a'+i)), 100))
			w.TypeKeys(strings.Repeat(string(rune('a'+i)), 100) + "\x1b[20")
			w.TypeKeys("1~\x1b[1;")
			w.TypeKeys("5C")
		})
	}
	wg.Wait()
	var want []string
	for i := range writers {
		want = append(want, "\x1b[200~"+strings.Repeat(string(rune('a'+i)), 200)+"\x1b[201~\x1b[1;5C")
	}
	eventually(t, "all input", func() bool { return len(in.String()) == len(strings.Join(want, "")) })
	for _, w := range want {
		if !strings.Contains(in.String(), w) {
			t.Errorf("got %q, want %q in it in one piece", in.String(), w)
		}
	}
	for i, w := range writers {
		w.Wait("its bytes counted", func() bool { return w.Ctl.Typed == int64(len(want[i])) })
		w.Wait("who types", func() bool { return len(w.Ctl.Writers) > 0 })
	}
}

// The sharer's keyboard does not wait: a paste of another typist is ended, and its rest
// dropped.
func TestSharerWins(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in})
	w := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	w.TypeKeys("\x1b[200~rm -rf ")
	eventually(t, "the paste", func() bool { return strings.HasSuffix(in.String(), "rf ") })
	r.Type([]byte("\x03"))
	w.TypeKeys("/\r")
	w.TypeKeys("\x1b[201~after")
	const want = "\x1b[200~rm -rf \x1b[201~\x03after"
	eventually(t, "the rest", func() bool { return strings.HasSuffix(in.String(), "after") })
	if got := in.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A program that reads nothing does not block viewers forever, and the sharer's keys are
// not queued behind the flood.
func TestFloodOfKeys(t *testing.T) {
	t.Parallel()
	stuck := &stuckTerminal{go1: make(chan struct{})}
	r := sharetest.NewRoom(t, share.Options{Input: stuck})
	w := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	go func() {
		for range 50 {
			w.TypeKeys(strings.Repeat("x", proto.MaxTermInBytes))
		}
	}()
	<-stuck.began()
	eventually(t, "a full queue", func() bool { r.Output([]byte(".")); return true })
	r.Type([]byte("\x03"))
	close(stuck.go1)
	eventually(t, "the sharer's key", func() bool { return strings.Contains(stuck.String(), "\x03") })
	before, _, _ := strings.Cut(stuck.String(), "\x03")
	if len(before) > 5*proto.MaxTermInBytes {
		t.Errorf("%d bytes were typed before the sharer's", len(before))
	}
}

// stuckTerminal accepts nothing until go1 is closed.
type stuckTerminal struct {
	typed
	go1  chan struct{}
	once sync.Once
	beg  chan struct{}
	mu2  sync.Mutex
}

func (s *stuckTerminal) began() chan struct{} {
	s.mu2.Lock()
	defer s.mu2.Unlock()
	if s.beg == nil {
		s.beg = make(chan struct{})
	}
	return s.beg
}

func (s *stuckTerminal) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.began()) })
	<-s.go1
	return s.typed.Write(p)
}

// With SizeWriter the terminal has the size of the typist before the first key.
func TestWriterSize(t *testing.T) {
	t.Parallel()
	var log typed
	r := sharetest.NewRoom(t, share.Options{Input: &log, Size: share.SizeWriter, Resize: func(cols, rows int) error {
		_, err := fmt.Fprintf(&log, "<%dx%d>", cols, rows)
		return err
	}})
	r.Resize(100, 30)
	a := r.View(share.Visitor{ID: "mk1a", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen, Cols: 60, Rows: 20})
	b := r.View(share.Visitor{ID: "mk1b", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen, Cols: 70, Rows: 21})
	step := func(want string, do func()) {
		t.Helper()
		do()
		eventually(t, want, func() bool { return log.String() == want })
	}
	step("<100x30><60x20>a", func() { a.TypeKeys("a") })
	step("<100x30><60x20>a<70x21>b", func() { b.TypeKeys("b") })
	step("<100x30><60x20>a<70x21>b<71x22>", func() { b.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 71, Rows: 22})) })
	step("<100x30><60x20>a<70x21>b<71x22><100x30>s", func() { r.Type([]byte("s")) })
	a.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 61, Rows: 22})) // not who types
	step("<100x30><60x20>a<70x21>b<71x22><100x30>s<61x22>c", func() { a.TypeKeys("c") })
	a.Wait("its own size", func() bool { cols, rows := a.Screen.Size(); return cols == 61 && rows == 22 })
}

// By default no viewer changes the size.
func TestSharerSize(t *testing.T) {
	t.Parallel()
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen, Cols: 20, Rows: 5})
	v.TypeKeys("x")
	v.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 10, Rows: 10}))
	v.TypeKeys("y")
	eventually(t, "keys", func() bool { return in.String() == "xy" })
	if cols, rows := r.Size(); cols != 80 || rows != 24 {
		t.Errorf("size is %d x %d", cols, rows)
	}
}

// Only a headless session replies to queries, once for any number of viewers. Replies of
// viewers' terminals are dropped.
func TestQueries(t *testing.T) {
	t.Parallel()
	const queries = "\x1b[c\x1b[6n\x1b[5n"
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in, Answers: true})
	for range 5 {
		v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		v.Wait("screen", func() bool { return v.Snapshots == 1 })
		v.TypeKeys("\x1b[?62;22c\x1b[1;1R\x1b[0n")
	}
	r.Output([]byte(queries))
	eventually(t, "answers", func() bool { return strings.HasSuffix(in.String(), "\x1b[0n") })
	if got, want := in.String(), "\x1b[?62;22c\x1b[1;1R\x1b[0n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	in = new(typed)
	r = sharetest.NewRoom(t, share.Options{Input: in})
	r.Output([]byte(queries))
	r.Type([]byte("."))
	eventually(t, "a key", func() bool { return in.String() != "" })
	if got := in.String(); got != "." {
		t.Errorf("got %q, want nothing but the key", got)
	}
}

// If a viewer sends many sizes, the command sees few of them, and only that viewer is
// delayed.
func TestFloodOfSizes(t *testing.T) {
	t.Parallel()
	var sizes atomic.Int64
	in := new(typed)
	r := sharetest.NewRoom(t, share.Options{Input: in, Size: share.SizeWriter, Resize: func(int, int) error { sizes.Add(1); return nil }})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen, Cols: 90, Rows: 30})
	other := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	v.TypeKeys("a")
	eventually(t, "a key", func() bool { return in.String() == "a" })
	begun := time.Now()
	go func() {
		for i := range 100 {
			v.Send(wire.AppendFrame(nil, &wire.TermResize{Cols: 100 + i%2, Rows: 30}))
		}
	}()
	eventually(t, "sizes", func() bool { return sizes.Load() > 6 })
	if took := time.Since(begun); took < 4*50*time.Millisecond {
		t.Errorf("six sizes took %s, want at least 50 ms from one to the next", took)
	}
	r.Output([]byte("x"))
	other.Wait("output", func() bool { return other.Screen.Text()[0] == "x" })
	if err := r.Kick(1); err != nil {
		t.Fatal(err)
	}
	v.WantEnd(proto.Declined)
}

// Each key is confirmed to its typist without anything else to wake it.
func TestKeysAreConfirmed(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
	v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	for n := int64(1); n <= 15; n++ {
		v.TypeKeys("k")
		v.Wait("confirmation of a key", func() bool { return v.Ctl.Typed == n })
	}
}
