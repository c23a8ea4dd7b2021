package vt

import "unicode/utf8"

// A Cell is one character position.
type Cell struct {
	// Text is one character with the zero-width ones after it; a space in an empty
	// cell; empty in the right half of a wide character.
	Text  string
	Width int // 1, or 2 for a wide character; 0 for the right half of one
	Style Style
}

// cell is how a screen stores a Cell: 8 bytes, no pointers.
type cell struct {
	text uint32 // a code point, or cluster | number of a text; 0 is a blank
	attr uint32 // number of a style << 2 | half
}

// cluster marks a cell.text that is the number of a text in Terminal.clusters.
const cluster = 1 << 31

// The low bits of cell.attr: which part of a character the cell has.
const (
	narrow = iota
	lead   // the left half of a wide character
	spacer // the right half
	halves = 3
)

func (c cell) half() uint32  { return c.attr & halves }
func (c cell) style() uint32 { return c.attr >> 2 }

// maxClusterBytes bounds the text of one cell. Further zero-width characters are
// dropped.
const maxClusterBytes = 64

func (t *Terminal) text(c cell) string {
	switch {
	case c.half() == spacer:
		return ""
	case c.text&cluster != 0:
		return t.clusters.values[c.text&^cluster]
	case c.text == 0:
		return " "
	case c.text < utf8.RuneSelf:
		return ascii[c.text : c.text+1]
	}
	return string(rune(c.text))
}

var ascii = func() string {
	b := make([]byte, utf8.RuneSelf)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

// export converts c to a Cell.
func (t *Terminal) export(c cell) Cell {
	width := 1
	switch c.half() {
	case lead:
		width = 2
	case spacer:
		width = 0
	}
	return Cell{Text: t.text(c), Width: width, Style: t.exportStyle(t.styles.values[c.style()])}
}

// interned gives each value a small number, so that a cell can hold it.
// Number 0 is the zero value.
type interned[T comparable] struct {
	values  []T
	numbers map[T]uint32
	limit   int // sweep when there are this many
	size    func(T) int
	bytes   int // the memory of all values
}

// minSweep is how many values there must be before a first search for unused ones.
const minSweep = 4096

// init prepares for values whose memory, with that of the tables, size returns.
func (in *interned[T]) init(zero T, size func(T) int) {
	in.size, in.bytes = size, 0
	in.values = append(in.values[:0], zero)
	in.numbers = map[T]uint32{zero: 0}
	in.limit = minSweep
}

func (in *interned[T]) number(v T) uint32 {
	n, ok := in.numbers[v]
	if !ok {
		n = uint32(len(in.values))
		in.values = append(in.values, v)
		in.numbers[v] = n
		in.bytes += in.size(v)
	}
	return n
}

// hasRoom reports whether v has a number, or can get one with so much memory in all.
func (in *interned[T]) hasRoom(v T, most int) bool {
	if in.bytes+in.size(v) <= most {
		return true
	}
	_, known := in.numbers[v]
	return known
}

func (in *interned[T]) full() bool { return len(in.values) >= in.limit }

// compact drops the unused values and returns the new number of each. The next
// search through all cells is due only after enough values were added to pay for it.
func (in *interned[T]) compact(used []bool, cells int) []uint32 {
	renumbered := make([]uint32, len(in.values))
	kept := in.values[:0:0]
	in.numbers = make(map[T]uint32)
	in.bytes = 0
	for i, v := range in.values {
		if i > 0 && !used[i] {
			continue
		}
		renumbered[i] = uint32(len(kept))
		in.numbers[v] = uint32(len(kept))
		kept = append(kept, v)
		in.bytes += in.size(v)
	}
	in.values = kept
	in.limit = max(minSweep, cells/16) + 2*len(kept)
	return renumbered
}
