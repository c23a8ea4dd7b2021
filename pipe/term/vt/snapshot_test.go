package vt_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"mesh/pipe/term/vt"
)

// A snapshot sets the modes that a viewer needs to send the keys and mouse events that
// the program expects, and resets all others.
func TestSnapshotModes(t *testing.T) {
	t.Parallel()
	all := "\x1b[?1h\x1b=\x1b[?5h\x1b[?6h\x1b[?7l\x1b[4h\x1b[20h\x1b[?25l\x1b[5 q\x1b[?12h\x1b[?1002h\x1b[?1006h" +
		"\x1b[?1007l\x1b[?1004h\x1b[?2004h\x1b[?2031h\x1b[?2048h\x1b[>5u\x1b[>4;2m"
	want := vt.Modes{
		CursorKeys: true, Keypad: true, ReverseVideo: true, Origin: true, Insert: true, Newline: true,
		CursorStyle: 5, CursorBlink: true, Mouse: 1002, MouseFormat: 1006, Focus: true, Paste: true,
		ColorScheme: true, SizeReports: true, Kitty: 5, OtherKeys: 2,
	}
	set, plain := vt.New(20, 5, 0), vt.New(20, 5, 0)
	_, _ = set.Write([]byte(all))
	if got := set.Modes(); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	onPlain := vt.New(20, 5, 0)
	_, _ = onPlain.Write(set.Snapshot(0))
	if got := onPlain.Modes(); got != want {
		t.Errorf("onto a plain terminal: got %+v, want %+v", got, want)
	}
	_, _ = set.Write(plain.Snapshot(0))
	if got := set.Modes(); got != plain.Modes() {
		t.Errorf("of a plain terminal: got %+v, want %+v", got, plain.Modes())
	}
}

// After a snapshot no terminal waits for the end of a synchronized update that began
// before.
func TestSnapshotSync(t *testing.T) {
	t.Parallel()
	term, late := vt.New(20, 5, 0), vt.New(20, 5, 0)
	_, _ = term.Write([]byte("\x1b[?2026hhalf"))
	_, _ = late.Write([]byte("\x1b[?2026h"))
	_, _ = late.Write(term.Snapshot(0))
	if !term.Modes().Sync || late.Modes().Sync {
		t.Errorf("synchronized output: got %v and %v after the snapshot, want true and false", term.Modes().Sync, late.Modes().Sync)
	}
}

func TestSnapshotScrollback(t *testing.T) {
	t.Parallel()
	term := vt.New(20, 3, 100)
	for l := range strings.SplitSeq("1 2 3 4 5 6 7 8", " ") {
		_, _ = term.Write([]byte(l + "\r\n"))
	}
	for _, tt := range []struct {
		ask  int
		want string
	}{
		{0, "x"}, // the history stays
		{1, "6"},
		{4, "3 4 5 6"},
		{6, "1 2 3 4 5 6"},
		{100, "1 2 3 4 5 6"},
	} {
		late := vt.New(20, 3, 100)
		_, _ = late.Write([]byte("x\r\ny\r\nz\r\n"))
		_, _ = late.Write(term.Snapshot(tt.ask))
		var got []string
		for i := late.HistoryLen() - 1; i >= 0; i-- {
			got = append(got, late.History(i)[0].Text)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%d lines: got history %q, want %q", tt.ask, got, tt.want)
		}
		if !reflect.DeepEqual(late.Text(), term.Text()) {
			t.Errorf("%d lines: got %q, want %q", tt.ask, late.Text(), term.Text())
		}
	}
}

// A snapshot makes no terminal answer.
func TestSnapshotAsksNothing(t *testing.T) {
	t.Parallel()
	term := vt.New(20, 5, 10)
	_, _ = term.Write([]byte("\x1b]4;1;#123456\x07\x1b]10;#123456\x07\x1b]2;t\x07\x1b]7;file:///\x07\x1b[?2004h\x1b[>1uhello"))
	late := vt.New(20, 5, 10)
	late.Answer = func(b []byte) { t.Errorf("answered %q", b) }
	_, _ = late.Write(term.Snapshot(10))
}

func TestCells(t *testing.T) {
	t.Parallel()
	term := vt.New(8, 2, 0)
	_, _ = term.Write([]byte("a\x1b[1;31;4:3m日\x1b[m\x1b]8;id=7;http://h/\x1b\\e\u0301\x1b]8;;\x1b\\\x1b[44m\x1b[K"))
	red := vt.Style{Fg: vt.Indexed(1), Attr: vt.Bold, Underline: vt.CurlyUnderline}
	blue := vt.Cell{Text: " ", Width: 1, Style: vt.Style{Bg: vt.Indexed(4)}}
	want := []vt.Cell{
		{Text: "a", Width: 1},
		{Text: "日", Width: 2, Style: red},
		{Text: "", Width: 0, Style: red},
		{Text: "e\u0301", Width: 1, Style: vt.Style{Link: "http://h/", LinkID: "7"}},
		blue, blue, blue, blue,
	}
	if got := term.Line(0); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := term.Line(1)[7], (vt.Cell{Text: " ", Width: 1}); got != want {
		t.Errorf("a blank: got %+v, want %+v", got, want)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"x", ""},
		{"\x1b", "\x1b"},
		{"\x1b[", "\x1b["},
		{"\x1b[?25", "\x1b[?25"},
		{"\x1b[1;;2:3 ", "\x1b[1;;2:3 "},
		{"\x1b[1\n2", "\x1b[12"}, // the line feed was carried out
		{"\x1b(", "\x1b("},
		{"\x1b]0;t\x00itle", "\x1b]0;title"},
		{"\x1b]0;t\x1b", "\x1b"}, // the title was set
		{"\x1bP1$q", "\x1bP1$q"},
		{"\x1b_anything", "\x1bX"},
		{"\xe6\x97", "\xe6\x97"},
		{"\x1b]0;\xe6", "\x1b]0;\xe6"},
		{"\x1b[1\x18", ""},
	} {
		term := vt.New(8, 2, 0)
		_, _ = term.Write([]byte(tt.in))
		if got := term.Pending(); !bytes.Equal(got, []byte(tt.want)) {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
		if got, want := term.Ground(), tt.want == ""; got != want {
			t.Errorf("%q: ground is %v, want %v", tt.in, got, want)
		}
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for r, want := range map[rune]int{
		0: 0, '\x1f': 0, ' ': 1, '~': 1, 0x7f: 0, 0x9f: 0, 0xa0: 1, 'é': 1, 0x300: 0, 0x36f: 0,
		'α': 1, '…': 1, '─': 1, '☂': 1, '✅': 2, '日': 2, '한': 2, 0x1161: 0, 'ｱ': 1, 'Ａ': 2, '　': 2,
		0x200b: 0, 0x200d: 0, 0xfe0f: 0, 0xfffd: 1, '😀': 2, '🇩': 1, 0x1f3fd: 2, 0x20000: 2, 0xe0101: 0, 0x10ffff: 1,
	} {
		if got := vt.Width(r); got != want {
			t.Errorf("%U: got %d, want %d", r, got, want)
		}
	}
}
