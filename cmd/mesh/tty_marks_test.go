//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"

	"mesh/pipe/term/termtest"
)

// Combining marks in the last column of the viewer's terminal are on their characters,
// at the edge of the shared terminal and at that of a crop, and nothing of them stays.
func TestTTYMarksInLastColumn(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 90, 24, `sh -c 'stty -echo; for y in $(seq 24); do printf "\033[$y;1H"; for x in $(seq 30); do printf "abc\314\201"; done; done; printf "\033[H"; read x; printf "\033[2J\033[Hcleared"; read x'`)
	s.sharer.WaitText("abc\u0301")
	whole := s.view("tok", 90, 24)
	crop := s.view("tok", 60, 24)
	wantSame(t, "marks", s.sharer, whole)
	termtest.Wait(t, func() error { return wantLines(crop, strings.Repeat("abc\u0301", 20), 24) })
	s.sharer.Keys("Enter")
	for _, v := range []*termtest.Pane{whole, crop} {
		v.WaitText("cleared")
		termtest.Wait(t, func() error { return wantLines(v, "cleared", 1) })
	}
}

// wantLines returns an error unless the screen is n times the same line.
func wantLines(p *termtest.Pane, line string, n int) error {
	if got, want := p.Text(), strings.TrimSuffix(strings.Repeat(line+"\n", n), "\n"); strings.TrimRight(got, "\n") != want {
		return fmt.Errorf("got\n%s\nwant\n%s", got, want)
	}
	return nil
}
