package qr_test

import (
	"strings"
	"testing"

	rscqr "rsc.io/qr"

	"mesh/pipe/term/qr"
)

// dark says of each character which of its two modules are dark: the upper one, the lower
// one. A text without colours has the light ones drawn.
var dark = map[bool]map[rune][2]bool{
	true:  {' ': {}, '▀': {true, false}, '▄': {false, true}, '█': {true, true}},
	false: {' ': {true, true}, '▀': {false, true}, '▄': {true, false}, '█': {}},
}

// The text has the modules of the code, four light ones around them, and the size that
// is said.
func TestText(t *testing.T) {
	t.Parallel()
	token := "MESH1" + strings.Repeat("AB27", 32) // 133 characters
	for _, tt := range []struct {
		text       string
		cols, rows int
	}{
		{"7-GUITAR-CROISSANT-LUNCHBOX", 33, 17},
		{token, 45, 23},
		{strings.ToLower(token), 49, 25},
		{strings.Repeat("A", 4296), 185, 93},
	} {
		c, err := qr.New(tt.text)
		if err != nil {
			t.Fatalf("%d characters: %v", len(tt.text), err)
		}
		want, err := rscqr.Encode(tt.text, rscqr.L)
		if err != nil {
			t.Fatal(err)
		}
		if cols, rows := c.Size(); cols != tt.cols || rows != tt.rows || cols != want.Size+8 {
			t.Errorf("%d characters: got %d × %d of %d modules, want %d × %d", len(tt.text), cols, rows, want.Size, tt.cols, tt.rows)
			continue
		}
		for _, colors := range []bool{false, true} {
			lines := strings.Split(strings.TrimSuffix(c.Text(colors), "\n"), "\n")
			if len(lines) != tt.rows {
				t.Fatalf("got %d lines, want %d", len(lines), tt.rows)
			}
			for row, line := range lines {
				if colors {
					var begun, ended bool
					line, begun = strings.CutPrefix(line, "\x1b[30;47m")
					line, ended = strings.CutSuffix(line, "\x1b[0m")
					if !begun || !ended {
						t.Fatalf("row %d: the colours are not set, or not reset: %q", row, line)
					}
				}
				modules := []rune(line)
				if len(modules) != tt.cols {
					t.Fatalf("row %d: got %d columns, want %d", row, len(modules), tt.cols)
				}
				for col, r := range modules {
					got, known := dark[colors][r]
					above, below := want.Black(col-4, 2*row-4), want.Black(col-4, 2*row-3)
					if !known || got != [2]bool{above, below} {
						t.Fatalf("colours %v, row %d, column %d: got %q, want dark %v over %v", colors, row, col, r, above, below)
					}
				}
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("A", 4297), strings.Repeat("a", 2954)} {
		if _, err := qr.New(text); err == nil {
			t.Errorf("%d characters: got a code, want an error", len(text))
		}
	}
}
