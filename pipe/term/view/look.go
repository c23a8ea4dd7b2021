package view

import (
	"bytes"
	"time"

	"mesh/pipe/term/keys"
)

// scrollback is how many of the lines above the screen the sharer is asked for, and
// history how many are kept.
const (
	scrollback = 1000
	history    = 5000
)

// look takes the keys of who may only look.
func (s *screen) look(input []byte) (leaves bool) {
	for len(input) > 0 {
		n, _ := keys.Scan(input)
		if s.looks(string(input[:n])) {
			return true
		}
		input = input[n:]
	}
	return false
}

// looks takes one key of who may only look. Who typed until a moment ago did not mean
// to leave.
func (s *screen) looks(key string) (leaves bool) {
	w, page := &s.window, s.window.Page(s.t)
	switch {
	case time.Since(s.turned) < noticeTime:
		s.say("you may not type here any more")
		return false
	case key == "q" || key == "\x03":
		return true
	}
	s.dirty = true
	switch key {
	case "\x1a":
		go func() { _ = s.console.Suspend() }()
	case "?":
		s.help = true
	case "f", "\x1b[F", "\x1bOF", "\x1b[4~": // End
		w.FollowCursor()
	case "\x1b[H", "\x1bOH", "\x1b[1~": // Home
		w.Move(s.t, -history-page, 0)
	case "\x1b[A", "\x1bOA": // Up; many terminals send it for the wheel, too
		w.Move(s.t, -1, 0)
	case "\x1b[B", "\x1bOB":
		w.Move(s.t, 1, 0)
	case "\x1b[C", "\x1bOC":
		s.pan(keys.PanRight)
	case "\x1b[D", "\x1bOD":
		s.pan(keys.PanLeft)
	case pageUp, shiftPageUp:
		w.Move(s.t, -page, 0)
	case pageDown, shiftPageDown:
		w.Move(s.t, page, 0)
	default:
		s.say("this view is read-only: q leaves, " + s.howToAsk("%cr asks to type, ") + "? helps")
	}
	return false
}

const (
	pageUp, shiftPageUp     = "\x1b[5~", "\x1b[5;2~"
	pageDown, shiftPageDown = "\x1b[6~", "\x1b[6;2~"
)

// scroll takes the keys of who types that scroll, from the front of keys: those with
// which a terminal scrolls by itself, where it does so, on the main screen. It returns
// the rest.
func (s *screen) scroll(keys []byte) []byte {
	for !s.t.Modes().AltScreen {
		down := s.window.Page(s.t)
		rest, ok := bytes.CutPrefix(keys, []byte(shiftPageDown))
		if !ok {
			down = -down
			rest, ok = bytes.CutPrefix(keys, []byte(shiftPageUp))
		}
		if !ok {
			break
		}
		s.window.Move(s.t, down, 0)
		keys, s.dirty = rest, true
	}
	return keys
}

// pan moves the window by half of it.
func (s *screen) pan(c keys.Command) {
	switch c {
	case keys.PanUp:
		s.window.MoveHalf(s.t, -1, 0)
	case keys.PanDown:
		s.window.MoveHalf(s.t, 1, 0)
	case keys.PanLeft:
		s.window.MoveHalf(s.t, 0, -1)
	case keys.PanRight:
		s.window.MoveHalf(s.t, 0, 1)
	}
}
