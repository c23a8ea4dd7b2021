package vt

import (
	"errors"
	"fmt"
	"strings"
)

// dump returns the state of a terminal as text, so that two can be compared.
func dump(t *Terminal) string {
	var b strings.Builder
	s := t.active
	fmt.Fprintf(&b, "size %dx%d cursor %d,%d margins %d-%d printed %d\n", t.cols, t.rows, s.x, s.y, s.top, s.bottom, t.printed)
	m := t.Modes()
	m.Sync = false
	fmt.Fprintf(&b, "modes %+v\n", m)
	fmt.Fprintf(&b, "pen %+v charsets %+v\n", t.exportStyle(t.pen), t.charsets)
	fmt.Fprintf(&b, "titles %+q cwd %q palette %v\n", t.titles, t.cwd, t.palette)
	fmt.Fprintf(&b, "pending %q\n", t.Pending())
	for x, stop := range t.tabs {
		if stop {
			fmt.Fprintf(&b, "tab %d\n", x)
		}
	}
	dumpScreen(&b, t, t.main, "main")
	if s == t.alt {
		fmt.Fprintf(&b, "main margins %d-%d\n", t.main.top, t.main.bottom)
		dumpScreen(&b, t, t.alt, "alt")
	}
	for i := range t.main.history {
		dumpRow(&b, t, t.main.historyLine(i), fmt.Sprint("history ", i))
	}
	return b.String()
}

func dumpScreen(b *strings.Builder, t *Terminal, s *screen, name string) {
	v := s.saved
	fmt.Fprintf(b, "%s saved %d,%d %+v %+v origin %v keys %v\n", name, v.x, v.y, t.exportStyle(v.pen), v.charsets, v.origin, s.keys)
	for y := range t.rows {
		dumpRow(b, t, s.line(y), fmt.Sprint(name, " ", y))
	}
}

func dumpRow(b *strings.Builder, t *Terminal, r *row, name string) {
	fmt.Fprintf(b, "%s:", name)
	last := uint32(0)
	for i := range t.cols {
		c := r.at(i)
		if c.style() != last {
			last = c.style()
			fmt.Fprintf(b, "{%+v}", t.exportStyle(t.styles.values[last]))
		}
		b.WriteString(t.text(c))
		b.WriteString([]string{narrow: "", lead: "<", spacer: ">"}[c.half()])
	}
	if r.wrapped {
		b.WriteString("\\")
	}
	b.WriteString("\n")
}

// firstDifference returns the first line in which two dumps differ.
func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("\n got %q\nwant %q", as[i], bs[i])
		}
	}
	if len(as) != len(bs) {
		return "different lengths"
	}
	return ""
}

// check returns the first violated invariant of a terminal.
func check(t *Terminal) error {
	s := t.active
	if s.x < 0 || s.x > t.cols || s.y < 0 || s.y >= t.rows {
		return fmt.Errorf("cursor at %d,%d of %dx%d", s.x, s.y, t.cols, t.rows)
	}
	if t.modes.Origin && (s.y < s.top || s.y > s.bottom) {
		return fmt.Errorf("origin mode, line %d outside %d to %d", s.y, s.top, s.bottom)
	}
	if s.top < 0 || s.bottom >= t.rows || s.top >= s.bottom && t.rows > 1 {
		return fmt.Errorf("margins %d to %d of %d", s.top, s.bottom, t.rows)
	}
	for _, s := range []*screen{t.main, t.alt} {
		if s.line(t.rows - 1).wrapped {
			return errors.New("the last line continues in the next")
		}
		for y := range s.lines {
			if err := checkRow(t, s.line(y)); err != nil {
				return fmt.Errorf("line %d: %w", y, err)
			}
		}
		if len(s.history) > s.maxHistory {
			return fmt.Errorf("%d lines of history, %d wanted", len(s.history), s.maxHistory)
		}
	}
	return nil
}

func checkRow(t *Terminal, r *row) error {
	if len(r.cells) != t.cols || r.used > t.cols {
		return fmt.Errorf("%d cells, %d used, of %d", len(r.cells), r.used, t.cols)
	}
	for i, c := range r.cells {
		switch {
		case i >= r.used && c != (cell{}):
			return fmt.Errorf("cell %d beyond %d is %+v", i, r.used, c)
		case c.half() == spacer && (i == 0 || r.cells[i-1].half() != lead):
			return fmt.Errorf("cell %d is a right half alone", i)
		case c.half() == lead && (i+1 >= r.used || r.cells[i+1].half() != spacer):
			return fmt.Errorf("cell %d is a left half alone", i)
		case c.half() != narrow && !r.wide:
			return fmt.Errorf("cell %d is wide in a row that has none", i)
		}
	}
	return nil
}
