package draw_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"mesh/pipe/term/console"
	"mesh/pipe/term/draw"
	"mesh/pipe/term/termtest"
	"mesh/pipe/term/vt"
)

// allowed returns what must not reach a terminal in a painter's output, or "". It accepts
// only what a painter may write.
func allowed(p []byte, types bool) string {
	for len(p) > 0 {
		if p[0] != 0x1b {
			r, n := utf8.DecodeRune(p)
			switch {
			case r == utf8.RuneError && n == 1:
				return fmt.Sprintf("byte %#x", p[0])
			case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
				return fmt.Sprintf("control character %#x", r)
			case unicode.Is(unicode.Cf, r) && r != '\u200d':
				return fmt.Sprintf("format character %#x", r)
			}
			p = p[n:]
			continue
		}
		if len(p) >= 2 && (p[1] == '=' || p[1] == '>') {
			if !types && p[1] == '=' {
				return "keypad mode"
			}
			p = p[2:]
			continue
		}
		if link := links.Find(p); link != nil {
			p = p[len(link):]
			continue
		}
		if color := cursorColors.Find(p); color != nil {
			p = p[len(color):]
			continue
		}
		if rest, ok := bytes.CutPrefix(p, []byte("\x1b]2;"+peer)); ok { // a title
			text, rest, ok := bytes.Cut(rest, []byte("\a"))
			bad := func(r rune) bool {
				return r == utf8.RuneError && !bytes.ContainsRune(text, utf8.RuneError) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
			}
			if !ok || len(text) > 256 || len(text) > 0 && !bytes.HasPrefix(text, []byte(": ")) || !utf8.Valid(text) || bytes.IndexFunc(text, bad) >= 0 {
				return fmt.Sprintf("title %.100q", text)
			}
			p = rest
			continue
		}
		if len(p) < 3 || p[1] != '[' {
			return fmt.Sprintf("sequence %q", p[:min(len(p), 8)])
		}
		end := 2
		for end < len(p) && (p[end] < '@' || p[end] > '~') {
			end++
		}
		if end == len(p) {
			return "unfinished sequence"
		}
		params, final := string(p[2:end]), p[end]
		p = p[end+1:]
		numbers := strings.Trim(params, "0123456789;:") == ""
		switch {
		case final == 'm' && numbers, final == 'H' && numbers, final == 'K' && params == "":
		case final == 'q' && len(params) == 2 && params[0] >= '0' && params[0] <= '6' && params[1] == ' ':
		case (final == 'h' || final == 'l') && (params == "?25" || params == "?7"):
		case final == 'r' && numbers: // with autowrap for one character
		case final == 'u' && keyFlags.MatchString(params) && (types || params == "=0;1"):
		case final == 'm' && (params == ">4;0" || types && (params == ">4;1" || params == ">4;2")):
		case final == 'l' && strings.HasPrefix(params, "?"), final == 'h' && types:
			switch params {
			case "?1", "?9", "?1000", "?1002", "?1003", "?1004", "?1005", "?1006", "?1015", "?2004":
			default:
				return fmt.Sprintf("mode %s%c", params, final)
			}
		default:
			return fmt.Sprintf("sequence CSI %s %c", params, final)
		}
	}
	return ""
}

// links begin a link, or end one.
var links = regexp.MustCompile(`^\x1b\]8;(;|id=[0-9a-f]{16};((?i:https?)://[!-"$-.0->A-~]+([/?#][!-~]*)?|(?i:mailto):[!->@-~]+))\x1b\\`)

// cursorColors give the cursor a colour, or its own one back.
var cursorColors = regexp.MustCompile(`^\x1b\](12;rgb:[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{2}|112)\a`)

// keyFlags set the flags of the kitty keyboard protocol.
var keyFlags = regexp.MustCompile(`^=([0-9]|[12][0-9]|3[01]);1$`)

// peer is the sharer's name in these tests.
const peer = "bob"

// pair is a shared terminal, and what a viewer's terminal shows of it.
type pair struct {
	shared, own *vt.Terminal
	screen      *draw.Painting
}

func newPair(cols, rows int) *pair {
	own := vt.New(cols, rows, 0)
	_, _ = own.Write([]byte("\x1b[?1049h\x1b[?7l"))
	screen := draw.NewPainting(cols, rows)
	screen.Peer = peer
	return &pair{shared: vt.New(cols, rows, 0), own: own, screen: screen}
}

// feed writes output to the shared terminal, and paints it.
func (p *pair) feed(t *testing.T, out string, types bool) []byte {
	t.Helper()
	_, _ = p.shared.Write([]byte(out))
	painted := bytes.Clone(p.screen.Paint(p.shared, types))
	if bad := allowed(painted, types); bad != "" {
		t.Fatalf("%.200q lets through %s: %.200q", out, bad, painted)
	}
	_, _ = p.own.Write(painted)
	return painted
}

func (p *pair) same(t *testing.T, after string) {
	t.Helper()
	if got, want := termtest.Look(p.own), termtest.Look(p.shared); got != want {
		t.Fatalf("after %.300q\ngot\n%s\nwant\n%s", after, got, want)
	}
}

func TestSameSize(t *testing.T) {
	t.Parallel()
	p := newPair(80, 24)
	for _, s := range termtest.Streams {
		p.feed(t, s, false)
		p.same(t, s)
	}
	if again := p.feed(t, "", false); len(again) != 0 {
		t.Errorf("a picture that is shown is painted again: %q", again)
	}
}

// Random pictures, each painted over the last.
func TestRandom(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pieces := append([]string{"漢", "a", "\t", "\r", "\n", "\b", "é", "😀", "\u0301", "\x1b[K", "\x1b[1K", "\x1b[J", "\x1b[m", "\x1b[7m", "\x1b[44m", "\x1b[A", "\x1b[3P", "\x1b[2@", "\x1b[L", "\x1b[M", "\x1b[5X"}, termtest.Streams...)
	for n := range 20 {
		p := newPair(8+n*4, 3+n)
		var all strings.Builder
		for range 60 {
			var s strings.Builder
			fmt.Fprintf(&s, "\x1b[%d;%dH", 1+r.IntN(3+n), 1+r.IntN(8+n*4))
			for range r.IntN(8) {
				s.WriteString(pieces[r.IntN(len(pieces))])
			}
			all.WriteString(s.String())
			p.feed(t, s.String(), false)
			p.same(t, all.String())
		}
	}
}

// Terminals of other sizes show the part for which there is room.
func TestSizes(t *testing.T) {
	t.Parallel()
	shared := vt.New(120, 40, 0)
	for y := range 40 {
		fmt.Fprintf(shared, "\x1b[%d;1H", y+1)
		for x := range 120 {
			fmt.Fprintf(shared, "\x1b[3%dm%c", (x+y)%8, 'A'+(x*7+y*3)%26)
		}
	}
	fmt.Fprint(shared, "\x1b[m\x1b[20;60H漢\x1b[1;1H")
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}, {121, 41}, {119, 39}, {120, 20}, {60, 40}, {3, 2}, {2, 1}, {1, 1}, {200, 1}} {
		cols, rows := size[0], size[1]
		for _, at := range [][2]int{{1, 1}, {40, 120}, {20, 60}} {
			fmt.Fprintf(shared, "\x1b[%d;%dH", at[0], at[1])
			own := vt.New(cols, rows, 0)
			_, _ = own.Write([]byte("\x1b[?7l"))
			s := draw.NewPainting(cols, rows)
			s.SetStatus("STATUS", false)
			painted := s.Paint(shared, false)
			if bad := allowed(painted, false); bad != "" {
				t.Fatalf("%dx%d: lets through %s", cols, rows, bad)
			}
			_, _ = own.Write(painted)
			ownCols, ownRows := own.Size() // vt has no single column
			if ownCols != cols || ownRows != rows {
				continue
			}
			visible := rows
			if rows < 40 && rows > 1 {
				visible = rows - 1
			}
			visible = min(visible, 40)
			top := max(0, at[0]-visible)
			left := max(0, at[1]-cols)
			for y := range visible {
				got, want := own.Line(y), shared.Line(top + y)[left:]
				for x := range min(cols, 120) {
					half := want[x].Width == 0 && x == 0 || want[x].Width == 2 && x+1 == cols
					if got[x] != want[x] && !half {
						t.Fatalf("%dx%d with the cursor at %v: at %d,%d got %v, want %v", cols, rows, at, y, x, got[x], want[x])
					}
				}
				if cols > 120 && got[120].Text != "│" {
					t.Fatalf("%dx%d: no edge at line %d: %v", cols, rows, y, got[120])
				}
			}
			if c := own.Cursor(); !c.Visible || c.Row != at[0]-1-top || c.Col != at[1]-1-left {
				t.Errorf("%dx%d with the cursor at %v: it is shown at %d,%d", cols, rows, at, c.Row, c.Col)
			}
			if last := strings.TrimSpace(own.Text()[rows-1]); rows != 40 && rows > 1 && cols > 6 && last != "STATUS" {
				t.Errorf("%dx%d: got status line %q", cols, rows, last)
			}
		}
	}
}

func TestPanning(t *testing.T) {
	t.Parallel()
	shared := vt.New(20, 10, 0)
	for y := range 10 {
		fmt.Fprintf(shared, "\x1b[%d;1H%d abcdefghijklmnopqr", y+1, y)
	}
	s := draw.NewPainting(10, 5)
	own := vt.New(10, 5, 0)
	top := func() string {
		_, _ = own.Write(s.Paint(shared, false))
		return own.Text()[0]
	}
	for _, tt := range []struct {
		down, right int
		want        string
	}{
		{0, 0, "ijklmnopqr"},
		{0, -1, "defghijklm"},
		{0, -1, "6 abcdefgh"},
		{0, -1, "6 abcdefgh"},
		{1, 0, "6 abcdefgh"},
		{-1, 0, "4 abcdefgh"},
		{-1, 0, "2 abcdefgh"},
		{-1, 0, "0 abcdefgh"},
		{-1, 0, "0 abcdefgh"},
		{1, 0, "2 abcdefgh"},
		{0, 1, "defghijklm"},
		{0, 0, "ijklmnopqr"},
	} {
		s.Pan(shared, 2*tt.down, 5*tt.right)
		if got := top(); got != tt.want {
			t.Errorf("moved by %d,%d: got %q, want %q", tt.down, tt.right, got, tt.want)
		}
	}
}

// Scrolled lines can be read. They stay in place while more is printed, until the terminal
// forgets them. At their end the window follows the screen again.
func TestScrolling(t *testing.T) {
	t.Parallel()
	shared := vt.New(10, 4, 20)
	s := draw.NewPainting(10, 4)
	own := vt.New(10, 4, 0)
	printed := 0
	feed := func(n int) {
		for range n {
			printed++
			fmt.Fprintf(shared, "\r\nline %d", printed)
		}
	}
	want := func(what, top string, cursor bool) {
		t.Helper()
		_, _ = own.Write(s.Paint(shared, true))
		if got := own.Text()[0]; got != top || own.Cursor().Visible != cursor {
			t.Errorf("%s: got %q, cursor %v, want %q, %v", what, got, own.Cursor().Visible, top, cursor)
		}
	}
	feed(10)
	want("at first", "line 7", true)
	s.Pan(shared, -1, 0)
	want("up by 1", "line 6", false)
	s.Pan(shared, -3, 0)
	want("up by 3", "line 3", false)
	feed(8)
	want("what is read stays", "line 3", false)
	s.Pan(shared, -100, 0)
	want("the oldest", "", false)
	feed(13)
	want("the oldest that is kept", "line 8", false)
	s.Pan(shared, 19, 0)
	want("down by 19", "line 27", false)
	s.Pan(shared, 1, 0)
	want("the screen", "line 28", true)
	feed(1)
	want("it is followed", "line 29", true)
	_, _ = shared.Write([]byte("\x1b[?1049h\x1b[Halternate"))
	want("the alternate screen", "alternate", true)
	s.Pan(shared, -1, 0)
	want("above it", "line 32", false)
	s.Pan(shared, -4, 0)
	want("above the main one", "line 28", false)
	_, _ = shared.Write([]byte("\x1b[?1049l"))
	want("when that is left", "line 28", false)
	s.Pan(shared, 0, 0)
	want("back", "line 29", true)
	s.Pan(shared, -2, 0)
	_, _ = shared.Write([]byte("\x1bc"))
	want("a reset forgets", "", true)
	feed(20)
	s.Pan(shared, -2, 0)
	shared.Resize(6, 4)
	want("a narrower one, still 2 above the screen", "line 5│", false)
	s.Resize(3, 2)
	want("in a small window", "lin", false)
}

// When the lines in the window are forgotten, or the alternate screen below them is left,
// the window returns to the cursor, also on a larger screen.
func TestScrollingForgotten(t *testing.T) {
	t.Parallel()
	for what, ends := range map[string]string{
		"3J":                   "\x1b[3J",
		"a reset":              "\x1bc\x1b[8;1Hhere",
		"the alternate screen": "\x1b[?1049h\x1b[?1049l",
	} {
		shared := vt.New(10, 8, 20)
		s := draw.NewPainting(10, 4)
		own := vt.New(10, 4, 0)
		_, _ = shared.Write([]byte(strings.Repeat("line\r\n", 20) + "here"))
		if what == "the alternate screen" {
			_, _ = shared.Write([]byte("\x1b[?1049h"))
		}
		_, _ = own.Write(s.Paint(shared, true))
		s.Pan(shared, -9, 0)
		_, _ = own.Write(s.Paint(shared, true))
		if own.Cursor().Visible {
			t.Fatalf("%s: nothing is tested: the window did not move", what)
		}
		_, _ = shared.Write([]byte(ends))
		_, _ = own.Write(s.Paint(shared, true))
		if got := own.Text(); !slices.Contains(got, "here") || !own.Cursor().Visible {
			t.Errorf("%s: got %q, cursor %v, want the cursor's line", what, got, own.Cursor().Visible)
		}
	}
}

// A viewer that may type has the key and mouse modes of the shared terminal, and no other
// viewer has.
func TestModes(t *testing.T) {
	t.Parallel()
	const modes = "\x1b[?1h\x1b=\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?1004h"
	p := newPair(80, 24)
	p.feed(t, modes, true)
	got, want := p.own.Modes(), p.shared.Modes()
	if got.CursorKeys != want.CursorKeys || got.Keypad != want.Keypad || got.Mouse != want.Mouse || got.MouseFormat != want.MouseFormat || !got.Paste || got.Focus != want.Focus || !want.Focus {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.feed(t, "\x1b[?1003l\x1b[?1000h\x1b[?1006l", true)
	if got := p.own.Modes(); got.Mouse != 1000 || got.MouseFormat != 0 {
		t.Errorf("got mouse %d format %d, want 1000 and 0", got.Mouse, got.MouseFormat)
	}
	p.feed(t, "", false)
	if got := p.own.Modes(); got.CursorKeys || got.Keypad || got.Mouse != 0 || got.Paste || got.Focus {
		t.Errorf("who may no longer type has modes %+v", got)
	}
}

// A viewer that may type has the keyboard protocols of the shared terminal's screen. If
// all keys are reported as numbers, they have their text, too.
func TestKeyProtocols(t *testing.T) {
	t.Parallel()
	p := newPair(80, 24)
	for _, tt := range []struct {
		out              string
		types            bool
		kitty, otherKeys int
	}{
		{"", true, 0, 0},
		{"\x1b[>5u", true, 5, 0},
		{"\x1b[=2;2u", true, 7, 0},
		{"\x1b[?1049h", true, 0, 0},
		{"\x1b[>8u", true, 8 | 16, 0},
		{"\x1b[=31u", true, 31, 0},
		{"\x1b[=99999u", true, 31, 0},
		{"\x1b[?1049l", true, 7, 0},
		{"\x1b[<9u\x1b[>4;2m", true, 0, 2},
		{"\x1b[>4;1m\x1b[=1u", true, 1, 1},
		{"", false, 0, 0},
		{"", true, 1, 1},
		{"\x1bc", true, 0, 0},
	} {
		p.feed(t, tt.out, tt.types)
		if got := p.own.Modes(); got.Kitty != tt.kitty || got.OtherKeys != tt.otherKeys {
			t.Errorf("%q: got flags %d and modifyOtherKeys %d, want %d and %d", tt.out, got.Kitty, got.OtherKeys, tt.kitty, tt.otherKeys)
		}
	}
	p.feed(t, "\x1b[=3u\x1b[>4;2m", true)
	p.screen.Resize(100, 30)
	_, _ = p.own.Write([]byte(console.Reset))
	p.own.Resize(100, 30)
	p.feed(t, "", true)
	if got := p.own.Modes(); got.Kitty != 3 || got.OtherKeys != 2 {
		t.Errorf("drawn whole: got flags %d and modifyOtherKeys %d, want 3 and 2", got.Kitty, got.OtherKeys)
	}
}

// The flags that the viewer's terminal had before are restored, also if both screens share
// them.
func TestKeyFlagsRestored(t *testing.T) {
	t.Parallel()
	for _, same := range []bool{false, true} {
		own := vt.New(80, 24, 0)
		write := func(s string) {
			if same {
				s = strings.NewReplacer(console.Alternate, "", console.Main, "").Replace(s)
			}
			_, _ = own.Write([]byte(s))
		}
		write("\x1b[>5u" + console.Alternate + draw.Setup)
		if got := own.Modes().Kitty; got != 0 {
			t.Errorf("flags %d when it begins, want 0", got)
		}
		write("\x1b[=31;1u\x1b[>4;2m" + console.Reset + console.Main)
		if got := own.Modes(); got.Kitty != 5 || got.OtherKeys != 0 {
			t.Errorf("flags %d and modifyOtherKeys %d in the end, want 5 and 0", got.Kitty, got.OtherKeys)
		}
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for _, types := range []bool{false, true} {
		p := newPair(80, 24)
		for _, s := range termtest.Hostile {
			for _, out := range []string{s, "x" + s + "y", s[:len(s)/2], s[len(s)/2:]} {
				painted := p.feed(t, out, types)
				if len(painted) > 1<<16 {
					t.Errorf("%.100q: painted %d bytes", out, len(painted))
				}
			}
		}
		p.screen.SetStatus(strings.Join(termtest.Hostile, " "), true)
		p.feed(t, "", types)
	}
}

func FuzzPaint(f *testing.F) {
	for _, s := range append(append([]string{}, termtest.Hostile...), termtest.Streams...) {
		f.Add([]byte(s), uint8(40), uint8(10), false)
	}
	f.Fuzz(func(t *testing.T, out []byte, cols, rows uint8, types bool) {
		p := newPair(max(int(cols), 2), max(int(rows), 1))
		half := len(out) / 2
		p.feed(t, string(out[:half]), types)
		p.same(t, string(out[:half]))
		p.feed(t, string(out[half:]), types)
		if !p.shared.Modes().ReverseVideo {
			p.same(t, string(out))
		}
		p.screen.Resize(int(cols)/2+1, int(rows)/2+1)
		p.feed(t, "", types)
		p.screen.Resize(int(cols)+3, int(rows)+2)
		p.feed(t, "", types)
	})
}
