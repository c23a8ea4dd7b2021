package view_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"mesh/pipe/term/view"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

// converted returns what a form writes if the output arrives n bytes at a time.
func converted(t *testing.T, form view.Form, out string, n int) string {
	t.Helper()
	v := start(t, view.Options{Form: form})
	v.session(viewOnly, 80, 24)
	for len(out) > 0 {
		n := min(n, len(out))
		v.output(out[:n])
		out = out[n:]
	}
	v.waitAcked()
	v.exit(7)
	v.wantEnd(view.End{Exited: true, Code: 7}, proto.OK)
	return v.out.String()
}

func TestRaw(t *testing.T) {
	t.Parallel()
	all := make([]byte, 0, 100_000)
	for i := range 100_000 {
		all = append(all, byte(i*7+i>>8))
	}
	if got := converted(t, view.Raw, string(all), 9973); got != string(all) {
		t.Errorf("got %d bytes, want %d", len(got), len(all))
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 250)
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a", "a\n"},
		{"a\r\nb\r\n", "a\nb\n"},
		{"a\nb", "a\nb\n"}, // a line feed alone begins a line, as in a file
		{"\r\n\r\n", "\n\n"},
		{"10%\r50%\r100%\r\n", "100%\n"},
		{"abc\b\bX\r\n", "aXc\n"},
		{"long\rx\x1b[K\r\n", "x\n"},
		{"\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\x1b]2;un", "red text\n"},
		{"\x1b]0;a\nb\x07x\r\n", "x\n"},
		{"tab\tx   \r\n", "tab     x\n"},
		{"漢字 é\r\n", "漢字 é\n"},
		{"before\r\n\x1b[?1049h\x1b[Hvim\r\nmore\x1b[?1049lafter\r\n", "before\nafter\n"},
		{long + "\r\nx\r\n", long + "\nx\n"},
		{strings.Repeat("x", vt.MaxCols) + "\r\n", strings.Repeat("x", vt.MaxCols) + "\n"},
		{"\x1b[2J\x1b[Hclear\r\n", "clear\n"},
		{"\x1b[24;1Hbottom\r\n", "bottom\n"},
		{"a\x07\x00b\x7f\r\n", "ab\n"},
		{"evil\u202e\r\n", "evil\n"},
		{"\xff\xc3\r\n", "\ufffd\ufffd\n"},
	} {
		for _, n := range []int{1, 2, 3, 1000} {
			if got := converted(t, view.Plain, tt.in, n); got != tt.want {
				t.Errorf("%.100q by %d: got %.100q, want %.100q", tt.in, n, got, tt.want)
			}
			if len(tt.in) > 1000 {
				break
			}
		}
	}
}

// Each line is written as soon as it is complete.
func TestPlainLines(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Plain})
	v.session(viewOnly, 80, 24)
	var want strings.Builder
	for i := range 100 {
		v.output(fmt.Sprintf("half %d", i))
		v.waitAcked()
		v.output("\r\n")
		v.waitAcked()
		fmt.Fprintf(&want, "half %d\n", i)
		if got := v.out.String(); got != want.String() {
			t.Fatalf("got %q, want %q", got, want.String())
		}
	}
}

// A line without an end is written in parts, and missed output ends it.
func TestPlainEndlessLine(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Plain})
	v.session(viewOnly, 80, 24)
	part := strings.Repeat("0123456789abcdef", 16)
	for range 1000 {
		v.output(part)
	}
	v.waitAcked()
	const held = 100 << 10
	if got := len(v.out.String()); got < 1000*len(part)-held {
		t.Errorf("got %d bytes of %d, want no more than %d to be held", got, 1000*len(part), held)
	}
	v.seq += 100 // the sharer leaves some out
	v.snapshot(80, 24, "")
	v.output("next\r\n")
	v.waitAcked()
	v.exit(0)
	v.wantEnd(view.End{Exited: true, Missed: 100}, proto.OK)
	first, rest, _ := strings.Cut(v.out.String(), "\n")
	if rest != "next\n" || !strings.HasPrefix(strings.Repeat(part, 1000), first) {
		t.Errorf("got %d bytes and %q", len(first), rest)
	}
}

func TestCast(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Cast})
	v.seq = 1000
	v.session(viewOnly, 100, 30)
	v.snapshot(100, 30, "\x1b[Hscreen")
	v.output("a\xe2\x82")
	v.output("\xac")
	v.message(&wire.TermResize{Seq: v.seq, Cols: 80, Rows: 24})
	v.message(&wire.TermMark{Seq: v.seq, Text: "here"})
	v.seq += 100 // the sharer leaves some out
	v.snapshot(90, 20, "\x1b[Hlater")
	v.waitAcked()
	v.exit(0)
	v.wantEnd(view.End{Exited: true, Missed: 100}, proto.OK)
	var got []string
	for i, line := range strings.Split(strings.TrimSpace(v.out.String()), "\n") {
		if i == 0 {
			var h struct {
				Version, Width, Height int
				Title                  string
			}
			if err := json.Unmarshal([]byte(line), &h); err != nil || h.Version != 2 || h.Width != 100 || h.Height != 30 || h.Title != "bob" {
				t.Errorf("header %s: %v", line, err)
			}
			continue
		}
		var e [3]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, fmt.Sprint(e[1], " ", e[2]))
	}
	want := []string{"o \x1b[Hscreen", "o a", "o €", "r 80x24", "m here", "r 90x20", "o \x1b[Hlater"}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.JSON})
	v.session(viewOnly, 100, 30)
	v.output("a\xe2\x82")
	v.output("\xac\xff")
	v.message(&wire.TermResize{Seq: v.seq, Cols: 80, Rows: 24})
	v.message(&wire.TermMark{Seq: v.seq, Text: "here"})
	v.message(&wire.TermCtl{Viewers: 2, Writers: []string{"al"}})
	v.waitAcked()
	v.exit(3)
	v.wantEnd(view.End{Exited: true, Code: 3}, proto.OK)
	var got []string
	for line := range strings.Lines(v.out.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e["time"] == nil {
			t.Errorf("%s has no time", line)
		}
		delete(e, "time")
		got = append(got, fmt.Sprint(e))
	}
	want := []string{
		"map[cols:100 event:session name:bob rights:tty:view rows:30 seq:0 session:01000000000000000000000000000000]",
		"map[data:a event:output seq:0]",
		"map[data:€\ufffd event:output seq:3]",
		"map[cols:80 event:resize rows:24 seq:5]",
		"map[event:mark seq:5 text:here]",
		"map[event:status viewers:2 writers:[al]]",
		"map[code:3 event:exit seq:5]",
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// JSON output, which a person may look at on a terminal, has control characters only as
// escapes.
func TestTextHasNoControls(t *testing.T) {
	t.Parallel()
	const out = "\u009b6n\u009d0;x\u009c é\u00a0\u0085\u0080\u009f\x1b[6n"
	for _, form := range []view.Form{view.JSON, view.Cast} {
		v := start(t, view.Options{Form: form})
		v.session(viewOnly, 80, 24)
		v.snapshot(80, 24, "")
		v.output(out)
		v.message(&wire.TermMark{Seq: v.seq, Text: out})
		v.waitAcked()
		v.exit(0)
		v.wantEnd(view.End{Exited: true}, proto.OK)
		got := v.out.String()
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
			t.Errorf("%s: got %q, want no control characters", form, got)
		}
		said := 0
		for line := range strings.Lines(got) {
			var m any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			said += strings.Count(fmt.Sprint(m), out)
		}
		if said != 2 {
			t.Errorf("%s: got %q, want the output and the mark in it", form, got)
		}
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Once})
	v.session(viewOnly, 10, 4)
	v.snapshot(10, 4, "\x1b[1;31mone\r\n\r\n  漢 x  ")
	v.wait("end of the viewer's pipe", func() bool { return v.err != nil || v.sharer.err != nil })
	_ = v.w.Close()
	v.wantEnd(view.End{}, proto.OK)
	if got, want := v.out.String(), "one\n\n  漢 x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if v.opened.Mode != wire.TermScreen {
		t.Errorf("opened %+v", v.opened)
	}
}

// Missed output is reported, and with Strict it is an error in the end.
func TestMissed(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		notices := make(chan string, 10)
		v := start(t, view.Options{Form: view.Raw, Strict: strict, History: true, Notice: func(s string) { notices <- s }})
		v.session(viewOnly, 80, 24)
		v.output("one")
		v.seq += 100
		v.snapshot(80, 24, "<repaint>")
		v.output("two")
		v.waitAcked()
		v.exit(0)
		code := proto.OK
		if strict {
			code = proto.Truncated
		}
		v.wantEnd(view.End{Exited: true, Missed: 100}, code)
		if got, want := v.out.String(), "one<repaint>two"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := <-notices, "100 bytes of output were missed: the sharer no longer had them"; got != want {
			t.Errorf("got notice %q", got)
		}
		if !v.opened.History || v.opened.Mode != wire.TermRaw {
			t.Errorf("opened %+v", v.opened)
		}
	}
}

// Piped input is sent in frames of bounded size. Its end ends the view once the terminal
// has accepted it and its echo is over.
func TestInput(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	v := start(t, view.Options{Form: view.Raw, In: r})
	v.session(mayType, 80, 24)
	want := strings.Repeat("make\n", 100_000)
	go func() {
		_, _ = w.WriteString(want)
		_ = w.Close()
	}()
	v.waitTyped(want)
	v.message(&wire.TermCtl{Viewers: 1, Typed: int64(len(want))})
	v.output("made\r\n")
	v.wait("end of the viewer's pipe", func() bool { return v.sharer.err != nil })
	_ = v.w.Close()
	v.wantEnd(view.End{}, proto.OK)
	if got := v.out.String(); got != "made\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestInputIsNotAllowed(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	v := start(t, view.Options{Form: view.Raw, In: r})
	v.session(viewOnly, 80, 24)
	v.wantEnd(view.End{}, proto.Capability)
	v.wantNothing("who may only view")
}

// A viewer of a terminal without a name for it sends nothing but what it must.
func TestAsksOnly(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Raw, Name: "al"})
	v.session(mayType, 80, 24)
	v.output("\x1b[c\x1b[6n\x1b]11;?\x07")
	v.waitAcked()
	v.wantNothing("output that asks")
	if v.opened.Name != "al" { // waitAcked has come after it
		t.Errorf("opened %+v", v.opened)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Raw})
	v.session(viewOnly, 80, 24)
	v.waitAcked()
	v.cancel(proto.Errorf(proto.Terminated, "SIGTERM"))
	v.wantEnd(view.End{}, proto.Terminated)
}

var errFull = proto.Errorf(proto.BrokenStdout, "nobody reads")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	t.Parallel()
	for _, form := range []view.Form{view.Raw, view.Plain, view.JSON, view.Cast, view.Once} {
		v := start(t, view.Options{Form: form, Out: broken{}})
		go func() { // some of it may find nobody
			b := wire.AppendFrame(nil, &wire.TermSession{Session: wire.TransferID{1}, Rights: viewOnly, Cols: 80, Rows: 24})
			b = wire.AppendTermSnapshot(b, wire.TermSnapshot{Cols: 80, Rows: 24, Repaint: []byte("x")})
			_, _ = v.w.Write(wire.AppendTermOut(b, 0, []byte("line\r\n")))
		}()
		v.wantEnd(view.End{}, proto.BrokenStdout)
		if !errors.Is(v.err, errFull) {
			t.Errorf("%s: got %v", form, v.err)
		}
	}
}

// Frames that a sharer must not send end the view with the code for that.
func TestBadSharer(t *testing.T) {
	t.Parallel()
	session := wire.AppendFrame(nil, &wire.TermSession{Session: wire.TransferID{1}, Rights: viewOnly, Seq: 10, Cols: 80, Rows: 24})
	out := func(seq int64) []byte { return wire.AppendTermOut(nil, seq, []byte("xyz")) }
	for name, tt := range map[string]struct {
		frames []byte
		code   proto.Code
	}{
		"nothing":             {nil, proto.Truncated},
		"half a header":       {session[:3], proto.Truncated},
		"half a session":      {session[:20], proto.Truncated},
		"output first":        {out(10), proto.Protocol},
		"two sessions":        {bytes.Repeat(session, 2), proto.Protocol},
		"a gap":               {append(session[:len(session):len(session)], out(11)...), proto.Protocol},
		"output again":        {append(append(session[:len(session):len(session)], out(10)...), out(10)...), proto.Protocol},
		"an old snapshot":     {append(session[:len(session):len(session)], wire.AppendTermSnapshot(nil, wire.TermSnapshot{Seq: 9, Cols: 80, Rows: 24})...), proto.Protocol},
		"resize elsewhere":    {append(session[:len(session):len(session)], wire.AppendFrame(nil, &wire.TermResize{Seq: 9, Cols: 80, Rows: 24})...), proto.Protocol},
		"mark elsewhere":      {append(session[:len(session):len(session)], wire.AppendFrame(nil, &wire.TermMark{Seq: 11})...), proto.Protocol},
		"exit elsewhere":      {append(session[:len(session):len(session)], wire.AppendFrame(nil, &wire.TermExit{Seq: 0})...), proto.Protocol},
		"no end":              {append(session[:len(session):len(session)], out(10)...), proto.Truncated},
		"a viewer's frame":    {append(session[:len(session):len(session)], wire.AppendTermIn(nil, []byte("rm"))...), proto.Protocol},
		"idle without asking": {append(session[:len(session):len(session)], wire.AppendFrame(nil, &wire.TermIdle{})...), proto.Protocol},
		"more behind the end": {append(append(session[:len(session):len(session)], wire.AppendFrame(nil, &wire.TermExit{Seq: 10})...), out(10)...), proto.Protocol},
		"a huge frame":        {[]byte{0xff, 0xff, 0xff, 0xff, byte(wire.TypeTermSession)}, proto.Protocol},
	} {
		v := start(t, view.Options{Form: view.Raw})
		go func() {
			_, _ = v.w.Write(tt.frames)
			_ = v.w.Close()
		}()
		select {
		case <-v.ended:
		case <-t.Context().Done():
		}
		if got := proto.CodeOf(v.err); got != tt.code {
			t.Errorf("%s: got %v (%s), want %s", name, v.err, got, tt.code)
		}
	}
}
