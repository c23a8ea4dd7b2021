package draw_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/vt"
)

// sgr returns the styles that are painted for output of the shared terminal.
func sgr(term, colorTerm, out string) []string {
	shared := vt.New(10, 1, 0)
	_, _ = shared.Write([]byte(out))
	w := draw.Window{Cols: 10, Rows: 1}
	painted := string(draw.NewPainter(term, colorTerm).Paint(w.Picture(shared, draw.KeysUnused)))
	var styles []string
	for part := range strings.SplitSeq(painted, "\x1b[") {
		if s, _, ok := strings.Cut(part, "m"); ok && strings.Trim(s, "0123456789;:") == "" {
			styles = append(styles, s)
		}
	}
	return styles
}

// Changed colours are painted as RGB, whatever form the program used.
func TestChangedColors(t *testing.T) {
	t.Parallel()
	const red = "\x1b[31mX"
	for _, tt := range []struct{ name, out, want string }{
		{"unchanged", red, "0;31"},
		{"one digit", "\x1b]4;1;rgb:1/2/f\x07" + red, "0;38;2;17;34;255"},
		{"two digits", "\x1b]4;1;rgb:12/34/56\x1b\\" + red, "0;38;2;18;52;86"},
		{"three digits", "\x1b]4;1;rgb:123/456/fff\x07" + red, "0;38;2;18;69;255"},
		{"four digits", "\x1b]4;1;rgb:1234/5678/ffff\x07" + red, "0;38;2;18;86;255"},
		{"mixed digits", "\x1b]4;1;rgb:f/00/ffff\x07" + red, "0;38;2;255;0;255"},
		{"#RGB", "\x1b]4;1;#12f\x07" + red, "0;38;2;16;32;240"},
		{"#RRGGBB", "\x1b]4;1;#123456\x1b\\" + red, "0;38;2;18;52;86"},
		{"#RRRGGGBBB", "\x1b]4;1;#123456fff\x07" + red, "0;38;2;18;69;255"},
		{"#RRRRGGGGBBBB", "\x1b]4;1;#12345678ffff\x07" + red, "0;38;2;18;86;255"},
		{"upper case", "\x1b]4;1;RGB:AB/CD/EF\x07" + red, "0;38;2;171;205;239"},
		{"name", "\x1b]4;1;Orange\x07" + red, "0;38;2;255;165;0"},
		{"several pairs", "\x1b]4;2;#010203;1;#040506\x07" + red + "\x1b[42mY", "0;38;2;4;5;6 0;38;2;4;5;6;48;2;1;2;3"},
		{"pairs with a bad one", "\x1b]4;1;#040506;300;#010203;2;nonsense\x07" + red + "\x1b[42mY", "0;38;2;4;5;6 0;38;2;4;5;6;42"},
		{"256 colours", "\x1b]4;200;#040506\x07\x1b[48;5;200mX", "0;48;2;4;5;6"},
		{"bright", "\x1b]4;9;#040506\x07\x1b[91mX", "0;38;2;4;5;6"},
		{"underline", "\x1b]4;1;#040506\x07\x1b[4;58;5;1mX", "0;4;58:2::4:5:6"},
		{"after the text", red + "\x1b]4;1;#040506\x07", "0;38;2;4;5;6"},
		{"foreground", "\x1b]10;#010203\x07X", "0;38;2;1;2;3"},
		{"background", "\x1b]11;#010203\x07X", "0;48;2;1;2;3"},
		{"both at once", "\x1b]10;#010203;#040506\x07X", "0;38;2;1;2;3;48;2;4;5;6"},
		{"foreground, other text", "\x1b]10;#010203\x07" + red, "0;31"},
		{"inverse", "\x1b]10;#010203\x07\x1b[7mX", "0;7;38;2;1;2;3"},
		{"cursor", "\x1b]12;#010203\x07X", ""},
		{"104 with a number", "\x1b]4;1;#040506;2;#010203\x07\x1b]104;2\x07" + red + "\x1b[42mY", "0;38;2;4;5;6 0;38;2;4;5;6;42"},
		{"104", "\x1b]4;1;#040506\x07\x1b]104\x1b\\" + red, "0;31"},
		{"110", "\x1b]10;#010203\x07\x1b]110\x07X", ""},
		{"111", "\x1b]11;#010203\x07\x1b]111\x07X", ""},
		{"112", "\x1b]12;#010203\x07\x1b]112\x07X", ""},
		{"RIS", "\x1b]4;1;#040506\x07\x1b]11;#010203\x07\x1bc" + red, "0;31"},
		{"too many digits", "\x1b]4;1;rgb:12345/1/1\x07" + red, "0;31"},
		{"no digits", "\x1b]4;1;rgb://\x07" + red, "0;31"},
		{"unknown name", "\x1b]4;1;rgbi:1/0/0\x07" + red, "0;31"},
		{"cancelled", "\x1b]4;1;#040506\x18" + red, "0;31"},
		{"query", "\x1b]4;1;?\x07\x1b]11;?\x07" + red, "0;31"},
	} {
		var got []string
		for _, s := range sgr("", "", tt.out) {
			if s != "0" && !slices.Contains(got, s) {
				got = append(got, s)
			}
		}
		// the cells behind the text have another style
		for want := range strings.FieldsSeq(tt.want) {
			if !slices.Contains(got, want) {
				t.Errorf("%s: got styles %q, want %q", tt.name, got, want)
			}
		}
		if tt.want == "" && len(got) > 0 {
			t.Errorf("%s: got styles %q, want none", tt.name, got)
		}
	}
}

// A viewer sees what changed colours look like, also late, and on scrolled lines.
func TestChangedColorsOfAll(t *testing.T) {
	t.Parallel()
	const out = "\x1b[31mold\x1b[m\r\nline\r\n\x1b]4;1;#040506\x07\x1b]11;#102030\x07"
	shared, late := vt.New(10, 2, 5), vt.New(10, 2, 5)
	_, _ = shared.Write([]byte(out))
	_, _ = late.Write(shared.Snapshot(5))
	for _, term := range []*vt.Terminal{shared, late} {
		if got, want := term.History(0)[0].Style, (vt.Style{Fg: vt.RGB(4, 5, 6), Bg: vt.RGB(16, 32, 48)}); got != want {
			t.Errorf("scrolled line: got %v, want %v", got, want)
		}
	}
	p := newPair(10, 2)
	p.feed(t, out, false)
	p.same(t, out)
	p.feed(t, "\x1b]104\x07\x1b]111\x07", false)
	p.same(t, "reset")
}

func TestNearestColors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ term, colorTerm, want string }{
		{"", "", "0;38;2;250;2;3"},
		{"xterm-256color", "truecolor", "0;38;2;250;2;3"},
		{"xterm-256color", "24bit", "0;38;2;250;2;3"},
		{"tmux-256color", "", "0;38;2;250;2;3"},
		{"xterm-kitty", "", "0;38;2;250;2;3"},
		{"xterm-direct", "", "0;38;2;250;2;3"},
		{"xterm-256color", "", "0;38;5;196"},
		{"xterm", "", "0;38;5;196"},
		{"screen.xterm-256color", "truecolor", "0;38;5;196"},
		{"linux", "", "0;91"},
		{"xterm-16color", "", "0;91"},
		{"rxvt", "", "0;91"},
	} {
		for _, out := range []string{"\x1b[38;2;250;2;3mX", "\x1b]4;1;#fa0203\x07\x1b[31mX", "\x1b]10;#fa0203\x07X"} {
			if got := sgr(tt.term, tt.colorTerm, out); !slices.Contains(got, tt.want) {
				t.Errorf("TERM=%s COLORTERM=%s, %q: got styles %q, want %q", tt.term, tt.colorTerm, out, got, tt.want)
			}
		}
	}
	for in, want := range map[string]string{
		"\x1b[38;5;196mX":                          "0;91",
		"\x1b[31mX":                                "0;31",
		"\x1b[38;2;1;2;3;48;2;4;5;6mX":             "0;90;40", // both nearest to black
		"\x1b[4;58;2;250;2;3mX":                    "0;4;58:5:9",
		fmt.Sprintf("\x1b[48;5;%dmX", 16+36*5+6*5): "0;103",
	} {
		if got := sgr("linux", "", in); !slices.Contains(got, want) {
			t.Errorf("16 colours, %q: got styles %q, want %q", in, got, want)
		}
	}
}

// cursorColorsOf returns the sequences for the cursor's colour in painted bytes.
func cursorColorsOf(painted []byte) string {
	return strings.Join(regexp.MustCompile(`\x1b\]1?12[^\a]*\a`).FindAllString(string(painted), -1), " ")
}

// The cursor gets the colour that the program gives it, in one form and as numbers alone.
func TestCursorColor(t *testing.T) {
	t.Parallel()
	const own = "\x1b]112\a"
	for _, tt := range []struct{ name, out, want string }{
		{"unchanged", "X", ""},
		{"rgb", "\x1b]12;rgb:1/20/fff\x07", "\x1b]12;rgb:11/20/ff\a"},
		{"#", "\x1b]12;#102030\x1b\\", "\x1b]12;rgb:10/20/30\a"},
		{"a name", "\x1b]12;Orange\x07", "\x1b]12;rgb:ff/a5/00\a"},
		{"second of 11", "\x1b]11;#020202;#030303\x07", "\x1b]12;rgb:03/03/03\a"},
		{"changed again", "\x1b]12;red\x07\x1b]12;#010203\x07", "\x1b]12;rgb:01/02/03\a"},
		{"taken away at once", "\x1b]12;red\x07\x1b]112\x07", ""},
		{"a query", "\x1b]12;?\x07", ""},
		{"an unknown name", "\x1b]12;nonsense\x07", ""},
		{"too many digits", "\x1b]12;rgb:12345/1/1\x07", ""},
		{"a sign", "\x1b]12;rgb:+1/-1/1\x07", ""},
		{"another sequence in it", "\x1b]12;#010203;\x1b]52;c;eA==\x07", "\x1b]12;rgb:01/02/03\a"},
		{"text behind it", "\x1b]12;#010203 evil\x07", ""},
		{"cut off", "\x1b]12;#0102", ""},
		{"cancelled", "\x1b]12;#010203\x18", ""},
	} {
		p := newPair(10, 2)
		if got := cursorColorsOf(p.feed(t, tt.out, false)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		p.same(t, tt.name)
		want := "" // the terminal has kept its own colour
		if tt.want != "" {
			want = own
		}
		if got := cursorColorsOf(p.feed(t, "\x1b]112\x07", false)); got != want {
			t.Errorf("%s, taken away: got %q, want %q", tt.name, got, want)
		}
		p.same(t, tt.name+", taken away")
	}
}

// A picture that is painted whole has the cursor's colour, and a viewer that joins late
// sees it. RIS takes it away. A terminal of 16 colours gets none.
func TestCursorColorAgain(t *testing.T) {
	t.Parallel()
	const red = "\x1b]12;rgb:ff/00/00\a"
	shared, late := vt.New(10, 2, 0), vt.New(10, 2, 0)
	_, _ = shared.Write([]byte("\x1b]12;red\x07"))
	_, _ = late.Write(shared.Snapshot(0))
	for _, tt := range []struct{ term, want string }{{"xterm-256color", red}, {"xterm-direct", red}, {"linux", ""}, {"xterm-16color", ""}} {
		w, p := draw.Window{Cols: 10, Rows: 2}, draw.NewPainter(tt.term, "")
		for _, what := range []string{"first", "again"} {
			if got := cursorColorsOf(p.Paint(w.Picture(late, draw.KeysUnused))); got != tt.want {
				t.Errorf("%s, %s: got %q, want %q", tt.term, what, got, tt.want)
			}
			p.Forget()
		}
		if p.ColorsCursor() != (tt.want != "") {
			t.Errorf("%s: the cursor is coloured: %t", tt.term, p.ColorsCursor())
		}
	}
	p := newPair(10, 2)
	p.feed(t, "\x1b]12;red\x07", false)
	if got := cursorColorsOf(p.feed(t, "\x1bc", false)); got != draw.ResetCursorColor {
		t.Errorf("RIS: got %q, want %q", got, draw.ResetCursorColor)
	}
}
