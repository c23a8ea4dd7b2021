package view

import (
	"bytes"
	"time"

	"mesh/pipe/term/keys"
)

// scrollback is how many lines above the screen a viewer asks for, history how many it
// keeps.
const (
	scrollback = 1000
	history    = 5000
)

// readOnlyKeys executes the keys of a viewer that may not type. It reports whether the
// viewer leaves.
func (d *display) readOnlyKeys(input []byte) (leaves bool) {
	for len(input) > 0 {
		n, _ := keys.Scan(input)
		if d.readOnlyKey(string(input[:n])) {
			return true
		}
		input = input[n:]
	}
	return false
}

// readOnlyKey executes one key. Just after the right to type was revoked it executes
// none: they were meant for the shared terminal.
func (d *display) readOnlyKey(key string) (leaves bool) {
	w, page := &d.window, d.window.Page(d.t)
	switch {
	case time.Since(d.rightsChanged) < noticeTime:
		d.showNotice("you may not type here any more")
		return false
	case key == "q" || key == "\x03":
		return true
	}
	d.dirty = true
	switch key {
	case "\x1a":
		go func() { _ = d.console.Suspend() }()
	case "?":
		d.help = true
	case "f", "\x1b[F", "\x1bOF", "\x1b[4~": // End
		w.FollowCursor()
	case "\x1b[H", "\x1bOH", "\x1b[1~": // Home
		w.Move(d.t, -history-page, 0)
	case "\x1b[A", "\x1bOA": // Up; many terminals also send it for the wheel
		w.Move(d.t, -1, 0)
	case "\x1b[B", "\x1bOB":
		w.Move(d.t, 1, 0)
	case "\x1b[C", "\x1bOC":
		d.pan(keys.PanRight)
	case "\x1b[D", "\x1bOD":
		d.pan(keys.PanLeft)
	case pageUp, shiftPageUp:
		w.Move(d.t, -page, 0)
	case pageDown, shiftPageDown:
		w.Move(d.t, page, 0)
	default:
		d.showNotice("this view is read-only: q leaves, " + d.howToAsk("%cr asks to type, ") + "? helps")
	}
	return false
}

const (
	pageUp, shiftPageUp     = "\x1b[5~", "\x1b[5;2~"
	pageDown, shiftPageDown = "\x1b[6~", "\x1b[6;2~"
)

// takeScrollKeys executes the keys at the front of keys with which a viewer that may
// type scrolls, and returns the rest. They are those with which terminals scroll
// themselves, on the main screen only.
func (d *display) takeScrollKeys(keys []byte) []byte {
	for !d.t.Modes().AltScreen {
		down := d.window.Page(d.t)
		rest, ok := bytes.CutPrefix(keys, []byte(shiftPageDown))
		if !ok {
			down = -down
			rest, ok = bytes.CutPrefix(keys, []byte(shiftPageUp))
		}
		if !ok {
			break
		}
		d.window.Move(d.t, down, 0)
		keys, d.dirty = rest, true
	}
	return keys
}

// pan moves the window by half its size.
func (d *display) pan(c keys.Command) {
	switch c {
	case keys.PanUp:
		d.window.MoveHalf(d.t, -1, 0)
	case keys.PanDown:
		d.window.MoveHalf(d.t, 1, 0)
	case keys.PanLeft:
		d.window.MoveHalf(d.t, 0, -1)
	case keys.PanRight:
		d.window.MoveHalf(d.t, 0, 1)
	}
}
