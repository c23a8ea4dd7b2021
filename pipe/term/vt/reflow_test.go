package vt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// texts are kinds of text, each of several lines without blanks at their ends.
func texts() map[string][]string {
	random := rand.New(rand.NewPCG(5, 6))
	words := func(alphabet []string) []string {
		var lines []string
		for range 40 {
			var line strings.Builder
			for range random.IntN(200) {
				line.WriteString(alphabet[random.IntN(len(alphabet))])
			}
			lines = append(lines, strings.TrimRight(line.String(), " "))
		}
		return lines
	}
	edges := []string{"", "a"}
	for _, n := range []int{1, 2, 49, 50, 51, 89, 90, 91, 100, 180, 360} {
		edges = append(edges, strings.Repeat("x", n), strings.Repeat("日", n), "y"+strings.Repeat("本", n))
	}
	return map[string][]string{
		"words":     words([]string{"a", "b", "c", " "}),
		"blanks":    words([]string{"a", " ", "         "}),
		"wide":      words([]string{"日", "本", "x", " "}),
		"combining": words([]string{"a\u0301", "日\u0301", "n\u0303\u0323", "o", " "}),
		"edges":     edges,
		"few":       {"one", "two", strings.Repeat("long ", 30) + "end"},
	}
}

// widths are those of a window that is dragged about.
var widths = []int{50, 90, 7, 2, 200, 90, 91, 89, 3, 50, 90}

// What was printed at one width looks at each other one as if it had been printed there,
// the history and the cursor included.
func TestReflowAsPrinted(t *testing.T) {
	t.Parallel()
	for name, lines := range texts() {
		for _, rows := range []int{1, 2, 24} {
			text := []byte(strings.Join(lines, "\r\n"))
			term := New(90, rows, MaxScrollback)
			_, _ = term.Write(text)
			for i, cols := range widths {
				term.Resize(cols, rows)
				want := New(cols, rows, MaxScrollback)
				_, _ = want.Write(text)
				if err := check(term); err != nil {
					t.Fatalf("%s, %d rows, widths %v: %v", name, rows, widths[:i+1], err)
				}
				got, wanted := places(term), places(want)
				if d := firstDifference(got, wanted); d != "" {
					t.Fatalf("%s, %d rows, widths %v: %s", name, rows, widths[:i+1], d)
				}
			}
		}
	}
}

// places returns the cursor and all lines of a terminal.
func places(t *Terminal) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cursor %d,%d\n", t.active.x, t.active.y)
	for i := t.HistoryLen() - 1; i >= 0; i-- {
		dumpRow(&b, t, t.main.historyLine(i), fmt.Sprint("history ", i))
	}
	for y := range t.rows {
		dumpRow(&b, t, t.main.line(y), fmt.Sprint("line ", y))
	}
	return b.String()
}

// A line of text is joined to the next one only as long as it continues there.
func TestReflowJoins(t *testing.T) {
	t.Parallel()
	const full = "0123456789"
	for _, tt := range []struct{ name, in, want string }{
		{"a wrapped line", full + "ab", "0123456789ab"},
		{"a full line", full + "\r\nab", full + "|ab"},
		{"autowrap is off", "\x1b[?7l" + full + "ab\r\nc", "012345678b|c"},
		{"its end is erased", full + "ab\x1b[1;8H\x1b[K", "0123456|ab"},
		{"its end is blanked", full + "ab\x1b[1;8H\x1b[3X", "0123456|ab"},
		{"its start is blanked", full + "ab\x1b[1;1H\x1b[3X", "   3456789ab"},
		{"the next line is erased", full + "ab\r\x1b[Kc", full + "|c"},
		{"the next line is erased, all of it", full + "ab\x1b[2Kc", full + "|  c"},
		{"all below is erased", full + "ab\r\x1b[Jc", full + "|c"},
		{"erased from the last column", full + "ab\x1b[A\x1b[10G9\x1b[J\r\nc", full + "|c"},
		{"all above is erased", full + "ab\x1b[1Jc", "|  c"},
		{"cells are deleted", full + "ab\x1b[A\x1b[P", "013456789|ab"},
		{"cells are inserted", full + "ab\x1b[A\x1b[@", "01 2345678|ab"},
		{"columns are deleted", full + "ab\x1b[ @", "123456789|b"},
		{"a line is inserted", full + "ab\x1b[Lc", full + "|c|ab"},
		{"a line is deleted", full + "ab\r\nx\x1b[A\x1b[M", full + "|x"},
		{"the line before is deleted", full + "ab\x1b[A\x1b[M", "ab"},
		{"scrolled up", full + "ab\r\nx\x1b[S", "ab|x"},
		{"scrolled down", full + "ab\x1b[T", "|0123456789ab"},
		{"reverse index", full + full + "c\x1b[H\x1bM\x1b[4H", "|01234567890123456789c"},
		{"a line feed in it", full + "ab\x1b[A\nc", full + "|abc"},
		{"an index in it", full + "ab\x1b[A\x1bDc", full + "|abc"},
		{"margins above", full + full + "\x1b[1;1r\x1b[2;4r\x1b[4H\nx", full + "|||x"},
		{"margins below", full + full + "\x1b[1;2r\x1b[H\x1b[M", full},
		{"wrapped at the margin", "\x1b[1;2r\x1b[2H" + full + full + "a", "|01234567890123456789a"},
		{"wrapped below the margin", "\x1b[1;2r\x1b[5H" + full + "ab", "||||ab23456789"},
		{"aligned", full + "ab\x1b#8\x1b[2;1H\x1b[J", "EEEEEEEEEE"},
		{"reset", full + "ab\x1bcc", "c"},
		{"a wide character had no room", "012345678日", "012345678日"},
		{"a narrow one is there now", "012345678日\x1b[2Ha", "012345678 a"},
		{"the end was blank", "012345678日\x1b[A\x1b[10G \x1b[B", "012345678 日"},
		{"the line was erased when it wrapped", full + "\x1b[1;5H456789\x1b[2K日", "          日"},
		{"a coloured end", "\x1b[44mab\x1b[K\x1b[m", "ab"},
		{"blanks at the end", "ab   ", "ab"},
		{"on the alternate screen", "ab\x1b[?1049h" + full + "c\x1b[?1049l", "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term := New(10, 5, 10)
			_, _ = term.Write([]byte(tt.in))
			late := restored(term, New(10, 5, 10))
			for _, cols := range []int{10, 25, 3, 10, 25} {
				term.Resize(cols, 5)
				late.Resize(cols, 5)
				if err := check(term); err != nil {
					t.Error(err)
				}
				if d := firstDifference(dump(late), dump(term)); d != "" {
					t.Errorf("one that joined late, at %d columns: %s", cols, d)
				}
			}
			var got []string
			for i := term.HistoryLen() - 1; i >= 0; i-- {
				got = append(got, term.lineText(term.main.historyLine(i)))
			}
			if text := strings.TrimRight(strings.Join(append(got, term.Text()...), "|"), "|"); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

// The line at the top stays there if it can, and the cursor is always on the screen.
func TestReflowTop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in   string
		cols, rows int
		want       string // lines of history, then of the screen, "^" where the cursor is
	}{
		{"room below", "0123456789", 5, 3, "~01234|56789^|"},
		{"no room", "0123456789\r\na\r\nb", 5, 3, "01234~56789|a|b^"},
		{"no room, cursor above", "a\r\n0123456789\r\nb\x1b[H", 5, 3, "~^a|01234|56789"},
		{"cursor within", "0123456789\x1b[8G", 5, 3, "~01234|56^789|"},
		{"wider, from the history", "a\r\nb\r\n0123456789c\r\nd", 20, 3, "a~b|0123456789c|d^"},
		{"wider, after clear", "a\r\nb\r\nc\r\nd\x1b[H\x1b[2J$", 20, 3, "a~$^||"},
		{"lower too", "0123456789\r\na\r\nb", 5, 2, "01234|56789~a|b^"},
		{"higher too", "1\r\n2\r\n0123456789\r\na", 5, 5, "~1|2|01234|56789|a^"},
		{"a prompt", "$ ", 5, 3, "~$ ^||"},
		{"far from text", "\x1b[3;9H", 5, 3, "~||    ^"},
		{"a coloured line", "\x1b[44mab\x1b[K\x1b[m\r\nc", 5, 3, "~ab|c^|"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term := New(10, 3, 10)
			_, _ = term.Write([]byte(tt.in))
			term.Resize(tt.cols, tt.rows)
			if err := check(term); err != nil {
				t.Error(err)
			}
			var past []string
			for i := term.HistoryLen() - 1; i >= 0; i-- {
				past = append(past, term.lineText(term.main.historyLine(i)))
			}
			lines, y := term.Text(), term.active.y
			line := fmt.Sprintf("%-*s", term.active.x, lines[y])
			lines[y] = line[:term.active.x] + "^" + line[term.active.x:]
			if got := strings.Join(past, "|") + "~" + strings.Join(lines, "|"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A coloured end of a line fills the line at each width.
func TestReflowFill(t *testing.T) {
	t.Parallel()
	term := New(10, 3, 10)
	_, _ = term.Write([]byte("\x1b[44mab\x1b[K\x1b[m\r\nc"))
	for _, cols := range []int{5, 20, 3, 10} {
		term.Resize(cols, 3)
		for x, c := range term.Line(0) {
			if i, ok := c.Style.Bg.Index(); !ok || i != 4 {
				t.Errorf("%d columns: column %d has background %v, want 4", cols, x, c.Style.Bg)
			}
		}
	}
}

// FuzzResizes changes the size between parts of a stream, of a terminal and one that
// joined late: both must stay sound and alike.
func FuzzResizes(f *testing.F) {
	f.Add([]byte{2, 2, 2, 2, 15, 3, 4, 15}, []byte{5, 3, 90, 24, 2, 1}, uint8(1))
	f.Add([]byte{3, 9, 4, 60, 61, 5, 130, 3, 3}, []byte{7, 2, 3, 9}, uint8(0))
	f.Fuzz(func(t *testing.T, choices, sizes []byte, late uint8) {
		choices, sizes = choices[:min(len(choices), 300)], sizes[:min(len(sizes), 20)]
		whole, other := New(12, 5, 20), New(12, 5, 20)
		parts := len(sizes)/2 + 1
		for i := range parts {
			part := sentence(choices[len(choices)*i/parts : len(choices)*(i+1)/parts])
			_, _ = whole.Write(part)
			if _, _ = other.Write(part); i == int(late)%parts {
				cols, rows := whole.Size()
				other = restored(whole, New(cols, rows, 20))
			}
			if i+1 < parts {
				cols, rows := int(sizes[2*i]), int(sizes[2*i+1])%40
				whole.Resize(cols, rows)
				other.Resize(cols, rows)
			}
			for _, term := range []*Terminal{whole, other} {
				if err := check(term); err != nil {
					t.Fatalf("part %d: %v", i, err)
				}
			}
			if d := firstDifference(dump(other), dump(whole)); d != "" {
				t.Fatalf("part %d: %s", i, d)
			}
		}
	})
}
