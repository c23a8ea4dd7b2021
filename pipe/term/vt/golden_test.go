package vt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A golden is what xterm.js shows. scripts/goldens writes it.
type golden struct {
	At      int
	X, Y    int
	Alt     bool
	Title   string
	Modes   goldenModes
	Lines   [][2]string // text and styles of each line
	History [][2]string
}

type goldenModes struct {
	CursorKeys, Keypad, Paste, Insert, Origin, Wrap, Focus, Visible bool
	Mouse                                                           string
}

// goldenOf returns the same for a terminal of this package.
func goldenOf(t *Terminal, at int) golden {
	m := t.Modes()
	mouse := map[int]string{0: "none", 9: "x10", 1000: "vt200", 1002: "drag", 1003: "any"}[m.Mouse]
	g := golden{
		At: at, X: t.active.x, Y: t.active.y, Alt: m.AltScreen, Title: t.Title(),
		Modes: goldenModes{m.CursorKeys, m.Keypad, m.Paste, m.Insert, m.Origin, m.Wrap, m.Focus, m.CursorVisible, mouse},
	}
	for y := range t.rows {
		g.Lines = append(g.Lines, goldenLine(t, t.active.line(y)))
	}
	if !m.AltScreen {
		for i := t.HistoryLen() - 1; i >= 0; i-- {
			g.History = append(g.History, goldenLine(t, t.main.historyLine(i)))
		}
	}
	return g
}

func goldenLine(t *Terminal, r *row) [2]string {
	var runs []string
	last := ""
	for x := range t.cols {
		c := r.at(x)
		if s := goldenStyle(t.styles.values[c.style()]); s != last {
			runs = append(runs, fmt.Sprintf("%d:%s", x, s))
			last = s
		}
	}
	return [2]string{t.lineText(r), strings.Join(runs, " ")}
}

func goldenStyle(s style) string {
	var parts []string
	for i, name := range []string{"bold", "dim", "italic", "blink", "inverse", "hidden", "strike", "overline"} {
		if s.attr&(1<<i) != 0 {
			parts = append(parts, name)
		}
	}
	if s.underline != NoUnderline {
		parts = append(parts, fmt.Sprintf("underline%d", s.underline))
	}
	for _, c := range []struct {
		name  string
		color Color
	}{{"fg", s.fg}, {"bg", s.bg}} {
		if i, ok := c.color.Index(); ok {
			parts = append(parts, fmt.Sprint(c.name, i))
		} else if r, g, b, ok := c.color.RGB(); ok {
			parts = append(parts, fmt.Sprintf("%s#%02x%02x%02x", c.name, r, g, b))
		}
	}
	return strings.Join(parts, ",")
}

// compare returns the differences between this package and xterm.js.
func compare(got, want golden) []string {
	var diffs []string
	differ := func(what string, g, w any) {
		if !reflect.DeepEqual(g, w) {
			diffs = append(diffs, fmt.Sprintf("%s\n    got %+q\n   want %+q", what, g, w))
		}
	}
	differ("cursor", [2]int{got.X, got.Y}, [2]int{want.X, want.Y})
	differ("alternate screen", got.Alt, want.Alt)
	differ("title", got.Title, want.Title)
	differ("modes", got.Modes, want.Modes)
	for y := range want.Lines {
		differ(fmt.Sprint("line ", y), got.Lines[y], want.Lines[y])
	}
	differ("lines of history", len(got.History), len(want.History))
	for i := range min(len(got.History), len(want.History)) {
		differ(fmt.Sprint("history ", i), got.History[i], want.History[i])
	}
	return diffs
}

// A recording is one stream of testdata/corpus.
type recording struct {
	name       string
	cols, rows int
	stream     []byte
}

func corpus(t testing.TB) []recording {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var all []recording
	for _, f := range files {
		r := recording{name: strings.TrimSuffix(filepath.Base(f), ".gz"), stream: gunzip(t, f)}
		if _, err := fmt.Sscanf(filepath.Ext(r.name), ".%dx%d", &r.cols, &r.rows); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCorpusAsXterm(t *testing.T) {
	t.Parallel()
	for _, r := range corpus(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			var want []golden
			if err := json.Unmarshal(gunzip(t, "testdata/golden/"+r.name+".json.gz"), &want); err != nil {
				t.Fatal(err)
			}
			term, done := New(r.cols, r.rows, 50), 0
			for _, w := range want {
				_, _ = term.Write(r.stream[done:w.At])
				done = w.At
				for _, d := range compare(goldenOf(term, done), w) {
					t.Errorf("after %d bytes, %s", done, d)
				}
			}
		})
	}
}

// readCases reads the small streams, for a terminal of 12 by 6, and what xterm.js shows of
// them.
func readCases(t testing.TB) (cases map[string]string, want map[string]golden) {
	t.Helper()
	for name, v := range map[string]any{"testdata/cases.json": &cases, "testdata/golden/cases.json": &want} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatal(err)
		}
	}
	return cases, want
}

// allowed is the cases in which this package differs on purpose, and why.
var allowed = map[string]string{
	"combining moved":    "a joining character joins what is before the cursor, also after a movement, as in xterm and tmux; xterm.js gives it a cell",
	"combining first":    "a joining character with nothing before it is dropped, as in tmux; xterm.js gives it a cell",
	"origin cuu":         "CUU in origin mode: xterm.js adds the top margin twice",
	"wide ich":           "ICH in the middle of a wide character blanks both halves; xterm.js leaves one",
	"sgr colons":         "38:2:R:G:B without a colour space is taken, as in xterm; xterm.js takes R for the space",
	"sgr 38 mixed colon": "the same",
	"charset sc":         "DECRC goes to the same line of the screen, as in xterm, and brings all character sets back; xterm.js goes up with the text",
	"c1":                 "U+008D is RI as all C1 are; xterm.js knows but some of them",
}

func TestCasesAsXterm(t *testing.T) {
	t.Parallel()
	cases, want := readCases(t)
	for name, stream := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term := New(12, 6, 50)
			_, _ = term.Write([]byte(stream))
			diffs := compare(goldenOf(term, len(stream)), want[name])
			if why, ok := allowed[name]; ok {
				if diffs == nil {
					t.Errorf("no difference any more: %s", why)
				}
				return
			}
			for _, d := range diffs {
				t.Errorf("%+q, %s", stream, d)
			}
		})
	}
}
