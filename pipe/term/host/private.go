package host

import "strings"

// clearScreen leaves the scrolling margins and the attributes of the shared terminal, and
// erases the screen. A repaint sets them again.
const clearScreen = "\x18\x1b[?6l\x1b[r\x1b[m\x1b(B\x0f\x1b[?7h\x1b[H\x1b[2J"

// showPrivately covers the sharer's screen with lines that no viewer sees, until the
// next key. Meanwhile the session goes on for the viewers.
func (t *terminal) showPrivately(lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone || t.console == nil {
		return
	}
	t.private = true
	text := strings.Join(lines, "\r\n\r\n") + "\r\n\r\nViewers do not see this. A key returns to the shared terminal.\r\n"
	_, _ = t.console.Write([]byte(clearScreen + text)) // show notices a terminal that is gone
}

// endPrivate returns to the shared terminal, and reports whether its screen was covered.
func (t *terminal) endPrivate() (covered bool) {
	t.mu.Lock()
	covered = t.private
	t.private = false
	t.mu.Unlock()
	switch {
	case !covered:
	case t.drawing != nil:
		t.redrawAll()
	default:
		t.repaint()
	}
	return covered
}
