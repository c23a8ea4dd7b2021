package vt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestResize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in   string
		cols, rows int
		want       string // lines of history, then of the screen
		x, y       int
	}{
		{"the same", "a\r\nb", 10, 4, "~a|b||", 1, 1},
		{"fewer lines, blanks below", "a\r\nb", 10, 2, "~a|b", 1, 1},
		{"fewer lines, full", "1\r\n2\r\n3\r\n4", 10, 2, "1|2~3|4", 1, 1},
		{"fewer lines, cursor up", "1\r\n2\r\n3\r\n4\x1b[2H", 10, 3, "~1|2|3", 0, 1},
		{"more lines", "1\r\n2", 10, 6, "~1|2||||", 1, 1},
		{"more lines, history", "1\r\n2\r\n3\r\n4\r\n5\r\n6", 10, 5, "1~2|3|4|5|6", 1, 4},
		{"more lines than history", "1\r\n2\r\n3\r\n4\r\n5", 10, 6, "~1|2|3|4|5|", 1, 4},
		{"more lines, cursor up", "1\r\n2\r\n3\r\n4\r\n5\x1b[2H", 10, 5, "1~2|3|4|5|", 0, 1},
		{"narrower", "0123456789", 5, 4, "~01234|56789||", 4, 1},
		{"narrower, half a wide one", "日本語", 5, 4, "~日本|語||", 2, 1},
		{"wider", "0123456789", 12, 4, "~0123456789|||", 10, 0},
		{"margins are gone", "\x1b[2;3r1\n\n\n\n", 10, 3, "~1||", 1, 2},
		{"too small", "abc", 0, -1, "ab~c", 1, 0},
		{"too large", "abc", 1 << 30, 1 << 30, "~abc" + strings.Repeat("|", MaxRows-1), 3, 0},
		{"alternate screen, narrower", "main\x1b[?1049h\x1b[H0123456789", 5, 4, "~01234|||", 4, 0},
		{"alternate screen", "main\x1b[?1049h1\r\n2\r\n3\r\n4", 10, 2, "~3|4", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term := New(10, 4, 10)
			_, _ = term.Write([]byte(tt.in))
			term.Resize(tt.cols, tt.rows)
			if err := check(term); err != nil {
				t.Error(err)
			}
			var past []string
			for i := term.HistoryLen() - 1; i >= 0; i-- {
				past = append(past, term.lineText(term.main.historyLine(i)))
			}
			if got := strings.Join(past, "|") + "~" + strings.Join(term.Text(), "|"); got != tt.want {
				t.Errorf("got %.200q, want %.200q", got, tt.want)
			}
			if c := term.Cursor(); c.Col != tt.x || c.Row != tt.y {
				t.Errorf("cursor at %d,%d, want %d,%d", c.Col, c.Row, tt.x, tt.y)
			}
		})
	}
}

// TestRandomResizes joins late, and then changes the size at random.
func TestRandomResizes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		whole := New(8, 5, 20)
		_, _ = whole.Write(randomSentence(random))
		late := restored(whole, New(8, 5, 20))
		var steps strings.Builder
		for range 4 {
			cols, rows, then := 1+random.IntN(14), 1+random.IntN(8), randomSentence(random)
			steps.WriteString(fmt.Sprintf(" %dx%d %q", cols, rows, then))
			for _, term := range []*Terminal{whole, late} {
				term.Resize(cols, rows)
				_, _ = term.Write(then)
				if err := check(term); err != nil {
					t.Fatalf("%s: %v", steps.String(), err)
				}
			}
			if d := firstDifference(dump(late), dump(whole)); d != "" {
				t.Fatalf("%s: %s", steps.String(), d)
			}
		}
	}
}

func randomSentence(random *rand.Rand) []byte {
	choices := make([]byte, random.IntN(60))
	for i := range choices {
		choices[i] = byte(random.IntN(256))
	}
	return sentence(choices)
}
