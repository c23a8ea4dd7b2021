package share_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

// A viewer that joins late sees the same as the others, also if it joins within a
// sequence or a character.
func TestLateJoin(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	ref := vt.New(80, 24, 100)
	out := func(s string) {
		r.Output([]byte(s))
		_, _ = ref.Write([]byte(s))
	}
	first := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	for i, s := range []string{
		"plain\r\n", "\x1b[1;31mred ", "\x1b[", "4", "2mgreen", "\xc3", "\xa4", "\x1b[?1049h\x1b[5;5Halt", "\x1b]0;ti", "tle\x07",
		"\x1b[?1049l", "\x1b[3;10r\n\n\n\n\n\n\n\n", "\x1b[?2004h\x1b[?1h", "wide 世", "\x1b[?25l",
	} {
		out(s)
		late := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
		late.Wait("all output", func() bool { return late.Snapshots == 1 })
		first.Wait("all output", func() bool { return bytes.Equal(first.Screen.Snapshot(0), ref.Snapshot(0)) })
		if got, want := late.Screen.Modes(), ref.Modes(); got != want {
			t.Errorf("step %d: got modes %+v, want %+v", i, got, want)
		}
		late.WantScreen(ref)
		late.Leave()
		late.WantEnd(proto.OK)
	}
}

// A terminal that gets narrower and wide again has all its text still, for viewers
// that were there and for later ones.
func TestReflow(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{Cols: 90, Rows: 6})
	open := wire.TermOpen{Mode: wire.TermScreen, Scrollback: 100}
	first := r.View(sharetest.Visitor(sharetest.MayView), open)
	ref := vt.New(90, 6, 100)
	for i := range 8 {
		line := fmt.Appendf(nil, "%d %s\r\n", i, strings.Repeat("The 狐 jumps. ", 6+i))
		r.Output(line)
		_, _ = ref.Write(line)
		first.WantScreen(ref) // gets it all as output
	}
	want := slices.Concat(ref.Text(), history(ref))
	for _, cols := range []int{50, 33, 120, 90} {
		r.Resize(cols, 6)
		ref.Resize(cols, 6)
		late := r.View(sharetest.Visitor(sharetest.MayView), open)
		for late.Wait("a snapshot", func() bool { return late.Snapshots == 1 }); late.Screen.HistoryLen() == 0; {
			late.Leave() // history was sent a moment ago, and is not made for each viewer
			late = r.View(sharetest.Visitor(sharetest.MayView), open)
			late.Wait("a snapshot", func() bool { return late.Snapshots == 1 })
		}
		for _, v := range []*sharetest.Viewer{first, late} {
			v.WantScreen(ref)
		}
		late.Lock()
		if got, want := history(late.Screen), history(ref); !slices.Equal(got, want) {
			t.Errorf("%d columns: got history %q, want %q", cols, got, want)
		}
		late.Unlock()
		late.Leave()
		late.WantEnd(proto.OK)
	}
	if got := slices.Concat(ref.Text(), history(ref)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func history(t *vt.Terminal) []string {
	var lines []string
	for i := range t.HistoryLen() {
		var line strings.Builder
		for _, c := range t.History(i) {
			line.WriteString(c.Text)
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}

// The first snapshot has as many lines of scrollback as the viewer asks for.
func TestScrollback(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	for i := range 100 {
		r.Output(fmt.Appendf(nil, "line %d\r\n", i))
	}
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Scrollback: 10})
	v.Wait("snapshot", func() bool { return v.Snapshots == 1 })
	v.Lock()
	defer v.Unlock()
	if got := v.Screen.HistoryLen(); got != 10 {
		t.Errorf("got %d lines of history, want 10", got)
	}
}

// A raw viewer gets every byte, and sizes and marks at their positions.
func TestRaw(t *testing.T) {
	t.Parallel()
	var sizes [][2]int
	r := sharetest.NewRoom(t, share.Options{Resize: func(cols, rows int) error {
		sizes = append(sizes, [2]int{cols, rows})
		return nil
	}})
	r.Output([]byte("before "))
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw})
	all := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw, History: true})
	want := make([]byte, 5<<20)
	for i := range want {
		want[i] = byte(rand.IntN(256))
	}
	for i := 0; i < len(want); {
		n := min(1+rand.IntN(64<<10), len(want)-i)
		r.Output(want[i : i+n])
		i += n
		for _, v := range []*sharetest.Viewer{v, all} { // a history of 2 MiB must do
			v.Wait("output", func() bool { return len(v.Raw) >= i-1<<20 })
		}
	}
	r.Resize(100, 30)
	r.Mark("here")
	r.Output([]byte("after"))
	r.Exit(7, 0)
	for _, c := range []struct {
		v    *sharetest.Viewer
		want string
	}{{v, string(want) + "after"}, {all, "before " + string(want) + "after"}} {
		c.v.Wait("the end", func() bool { return c.v.Exit != nil })
		c.v.WantEnd(proto.OK)
		if string(c.v.Raw) != c.want {
			t.Errorf("got %d bytes, want the %d of the output", len(c.v.Raw), len(c.want))
		}
		if c.v.Exit.Code != 7 || c.v.Exit.Seq != int64(len(want))+12 {
			t.Errorf("got %+v, want code 7 at %d", c.v.Exit, len(want)+12)
		}
		if cols, rows := c.v.Screen.Size(); cols != 100 || rows != 30 || len(c.v.Marks) != 1 || c.v.Marks[0] != "here" {
			t.Errorf("got %d x %d and marks %q", cols, rows, c.v.Marks)
		}
	}
	if len(sizes) != 1 || sizes[0] != [2]int{100, 30} {
		t.Errorf("terminal got sizes %v", sizes)
	}
}

// 100 viewers see the same.
func TestManyViewers(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	ref := vt.New(80, 24, 100)
	var all []*sharetest.Viewer
	for range 100 {
		all = append(all, r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen}))
	}
	for i := range 300 {
		s := fmt.Sprintf("\x1b[%d;%dH\x1b[3%dm%d", i%24+1, i%70+1, i%8, i)
		r.Output([]byte(s))
		_, _ = ref.Write([]byte(s))
	}
	for _, v := range all {
		v.WantScreen(ref)
		v.Wait("the number of viewers", func() bool { return v.Ctl.Viewers == 100 })
	}
}

// A viewer that takes nothing delays no other. When it continues, it sees the current
// screen.
func TestStalledViewer(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	ref := vt.New(80, 24, 100)
	var all []*sharetest.Viewer
	for range 3 {
		all = append(all, r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen}))
	}
	all[1].Wait("first screen", func() bool { return all[1].Snapshots == 1 })
	all[1].Stall(true)
	line := []byte(strings.Repeat("y\r\n", 5000))
	for range 1000 {
		r.Output(line)
		_, _ = ref.Write(line)
	}
	r.Output([]byte("end"))
	_, _ = ref.Write([]byte("end"))
	all[0].WantScreen(ref)
	all[2].WantScreen(ref)
	all[1].Stall(false)
	begun := time.Now()
	all[1].WantScreen(ref)
	if took := time.Since(begun); took > 5*time.Second { // without a snapshot it would have the history to show
		t.Errorf("a viewer that goes on took %s to see the screen", took)
	}
	all[1].Lock()
	defer all[1].Unlock()
	if all[1].Gap < 10<<20 {
		t.Errorf("the stalled viewer was sent all but %d bytes, want a snapshot in their place", all[1].Gap)
	}
}

// A viewer that has missed many sizes and no output gets a snapshot. It does not
// acknowledge that, since it has all output, and continues.
func TestStalledWhileResized(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	v.Wait("first screen", func() bool { return v.Snapshots == 1 })
	r.Output([]byte("begin"))
	v.Wait("output", func() bool { return v.Seq == 5 })
	v.Stall(true)
	for i := range 5000 {
		r.Resize(80+i%2, 24)
	}
	v.Stall(false)
	v.Wait("a snapshot in place of sizes", func() bool { return v.Snapshots == 2 })
	ref := vt.New(81, 24, 100)
	_, _ = ref.Write([]byte("begin"))
	for range 100 {
		line := []byte(strings.Repeat("y\r\n", 1000))
		r.Output(line)
		_, _ = ref.Write(line)
	}
	v.WantScreen(ref)
}

// The memory for all the scrollback is freed after the first snapshot.
func TestScrollbackIsNotKept(t *testing.T) {
	r := sharetest.NewRoom(t, share.Options{Cols: 200, Rows: 24})
	r.Output([]byte(strings.Repeat(strings.Repeat("x", 198)+"\r\n", proto.MaxTermScrollback)))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	view := func() {
		v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Scrollback: proto.MaxTermScrollback})
		v.Wait("the screen", func() bool { return v.Snapshots == 1 && v.Ctl.Viewers > 0 })
	}
	view()
	before := heap()
	const viewers = 30
	for range viewers {
		view()
	}
	if each := (heap() - before) / viewers; each > 1<<20 {
		t.Errorf("a viewer keeps %d bytes, want less than 1 MiB", each)
	}
}

// All viewers get the end, and it does not wait for one that takes nothing.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := sharetest.NewRoom(t, share.Options{})
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	dead := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	dead.Stall(true)
	t.Cleanup(func() { dead.Stall(false) })
	r.Output([]byte("bye"))
	r.Exit(143, 15)
	begun := time.Now()
	r.Drain(t.Context())
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the end took %s", took)
	}
	v.WantEnd(proto.OK)
	if v.Exit == nil || *v.Exit != (wire.TermExit{Seq: 3, Code: 143, Signal: 15}) {
		t.Errorf("got %+v", v.Exit)
	}
}

func TestAcknowledgeWhatWasNotSent(t *testing.T) {
	t.Parallel()
	for what, seqs := range map[string][]int64{"never sent": {1 << 40}, "less than before": {3, 2}} {
		r := sharetest.NewRoom(t, share.Options{})
		v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw})
		r.Output([]byte("output"))
		v.Wait("output", func() bool { return len(v.Raw) == 6 })
		for _, seq := range seqs {
			v.Send(wire.AppendFrame(nil, &wire.TermAck{Seq: seq}))
		}
		v.WantEnd(proto.Protocol)
		_ = what
	}
}

// Frames that a viewer must not send end its link.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	for what, frame := range map[string][]byte{
		"a sharer's frame": wire.AppendTermOut(nil, 0, []byte("x")),
		"another open":     wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw}),
		"no input":         wire.AppendHeader(nil, wire.Header{Type: wire.TypeTermIn}),
		"too much input":   wire.AppendHeader(nil, wire.Header{Type: wire.TypeTermIn, Bytes: proto.MaxTermInBytes + 1}),
		"no frame":         []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		r := sharetest.NewRoom(t, share.Options{Input: new(typed)})
		v := r.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
		v.Send(frame)
		v.WantEnd(proto.Protocol)
		if got := r.List(); len(got) != 0 {
			t.Errorf("%s: viewers %+v are left", what, got)
		}
	}
}

// typed is a terminal that collects what is typed.
type typed struct {
	mu  sync.Mutex
	b   []byte
	all []string
}

func (w *typed) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	w.all = append(w.all, string(p))
	return len(p), nil
}

func (w *typed) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

// Viewers that join again and again for all the scrollback take little of the session's
// time, and still see the current screen.
func TestScrollbackIsBounded(t *testing.T) { // alone, since it looks at the time
	const lines, each = 2000, 200
	r := sharetest.NewRoom(t, share.Options{Cols: 200, Rows: 24})
	r.Output([]byte(strings.Repeat(strings.Repeat("\x1b[31mx\x1b[32my", 99)+"\r\n", lines)))
	whole := time.Now()
	share.Picture(r.Session, lines)
	one := time.Since(whole)
	begun := time.Now()
	for i := range each {
		r.Output(fmt.Appendf(nil, "\r\x1b[Kline %d", i))
		share.Picture(r.Session, lines-i)
	}
	// Without a limit it would take each*one.
	if took := time.Since(begun); took > 20*one+each*5*time.Millisecond {
		t.Errorf("%d joins took %s, one without a bound %s", each, took, one)
	}
	v := r.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen, Scrollback: proto.MaxTermScrollback})
	v.Wait("the screen", func() bool { return v.Screen.Text()[23] == fmt.Sprintf("line %d", each-1) })
	t.Logf("%d joins: %s; one without a bound: %s", each, time.Since(begun), one)
}
