package vt_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"mesh/pipe/term/vt"
)

// Whatever a program prints, a terminal with the scrollback of a viewer or a sharer takes
// less than 64 MiB, and still shows what is printed.
func TestMemoryIsBounded(t *testing.T) { // alone, since it looks at the memory
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const most = 64 << 20
	for what, line := range map[string]func(b *strings.Builder, y, cols int){
		"combining marks": func(b *strings.Builder, y, cols int) {
			for x := range cols {
				n := y*cols + x
				b.WriteByte('a')
				for range 5 {
					b.WriteRune(rune(0x300 + n%0x6f))
					n /= 0x6f
				}
				b.WriteString(strings.Repeat("\u0301", 10))
			}
		},
		"colours": func(b *strings.Builder, y, cols int) {
			for x := range cols {
				n := y*cols + x
				fmt.Fprintf(b, "\x1b[38;2;%d;%d;%dmx", n>>16&255, n>>8&255, n&255)
			}
		},
		"wide lines": func(b *strings.Builder, y, cols int) { b.WriteString(strings.Repeat("x", cols)) },
		"links": func(b *strings.Builder, y, cols int) {
			for x := 0; x < cols; x += 10 {
				fmt.Fprintf(b, "\x1b]8;;https://example.org/%d/%d/%s\x1b\\link\x1b]8;;\x1b\\      ", y, x, strings.Repeat("x", 500))
			}
		},
		"titles": func(b *strings.Builder, y, cols int) {
			b.WriteString("\x1b]2;" + strings.Repeat("t", 60000) + "\a\x1b[22t\x1b]7;" + strings.Repeat("d", 60000) + "\a\x1b]4")
			for i := range 256 {
				fmt.Fprintf(b, ";%d;#%06x", i, y)
			}
			b.WriteByte('\a')
		},
	} {
		for _, size := range [][3]int{{200, 50, 2500}} {
			cols, rows, lines := size[0], size[1], size[2]
			if what == "titles" {
				lines = 100
			}
			before := heap()
			term := vt.New(cols, rows, 10000)
			for y := range lines {
				var b strings.Builder
				line(&b, y, cols)
				b.WriteString("\x1b[m\r\n")
				_, _ = term.Write([]byte(b.String()))
			}
			for _, width := range []int{cols, vt.MinCols, vt.MaxCols, cols} {
				term.Resize(width, rows)
				if used := heap() - before; used > most {
					t.Errorf("%s, %dx%d: %d MiB, want at most %d", what, width, rows, used>>20, most>>20)
				}
			}
			_, _ = term.Write([]byte("\x1b[H\x1b[2J\x1b[38;2;1;2;3mend e\u0301"))
			if got, want := term.Text()[0], "end e\u0301"; got != want && size[0] < 1000 {
				t.Errorf("%s, %dx%d: it shows %q, want %q", what, cols, rows, got, want)
			}
			runtime.KeepAlive(term)
		}
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// The links of a screen take a few MiB, however many and long they are.
func TestLinksAreBounded(t *testing.T) { // alone, since it looks at the memory
	const cols, rows, most = 1000, 100, 8 << 20
	used := func(cell func(i int) string) int {
		before := heap()
		term := vt.New(cols, rows, 0)
		for i := range cols*rows - 1 {
			_, _ = term.Write([]byte(cell(i)))
		}
		after := heap()
		runtime.KeepAlive(term)
		return after - before
	}
	plain := used(func(int) string { return "x" })
	path := strings.Repeat("l", 500)
	links := used(func(i int) string { return fmt.Sprintf("\x1b]8;;http://%x/%s\x1b\\x", i, path) })
	if got := links - plain; got > most {
		t.Errorf("the links of a screen of %dx%d: %d MiB, want at most %d", cols, rows, got>>20, most>>20)
	}
}
