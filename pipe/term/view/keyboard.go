package view

import (
	"fmt"
	"time"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/keys"
	"mesh/proto/wire"
)

// typed takes what was read of the input, and reports whether the viewer leaves.
func (s *screen) typed(chunk []byte, ok bool) (leaves bool) {
	if !s.raw {
		s.in.take(chunk, ok)
		return false
	}
	if !ok {
		return true // the terminal is gone
	}
	m := s.t.Modes()
	s.finder.DropMarks, s.finder.DropText = s.types && !m.Paste, draw.AddsText(m)
	for len(chunk) > 0 {
		send, c, n := s.finder.Next(chunk)
		if s.help && s.finder.Pressed() {
			s.help, s.dirty = false, true
		}
		if s.send(send) {
			return true
		}
		switch c {
		case keys.Detach:
			return true
		case keys.Suspend:
			go func() { _ = s.console.Suspend() }()
		case keys.Help:
			s.help, s.dirty = true, true
		case keys.Status:
			s.say(s.about())
		case keys.Ask:
			s.ask()
		case keys.PanUp, keys.PanDown, keys.PanLeft, keys.PanRight:
			s.pan(c)
			s.dirty = true
		}
		chunk = chunk[n:]
	}
	if s.finder.Withholds() {
		s.flush.Reset(flushTime)
	} else {
		s.flush.Stop()
	}
	return false
}

// send sends keys, or takes them for what a viewer who may not type wants.
func (s *screen) send(keys []byte) (leaves bool) {
	switch {
	case len(keys) == 0:
		return false
	case !s.opened:
		return keys[0] == 'C'-'@' // what else may be typed is not known yet
	case !s.types:
		return s.look(keys)
	}
	if keys = s.scroll(keys); len(keys) == 0 {
		return false
	}
	if s.window.Moved() {
		s.window.FollowCursor()
		s.dirty = true
	}
	if !s.sender.typing(keys) {
		s.say("what was typed is not sent: too much waits for the link")
	}
	return false
}

// ask asks the sharer for the right to type.
func (s *screen) ask() {
	switch {
	case s.types:
		s.say("you may type already")
	case s.o.ReadOnly || !s.raw:
		s.say("this view types nothing")
	case s.opened:
		s.sender.message(&wire.TermCtl{Ask: true})
		s.say("the sharer is asked to let you type")
	}
}

// howToAsk is what a line says of that, if it can be done.
func (s *screen) howToAsk(format string) string {
	if s.o.ReadOnly || !s.raw || s.o.Escape == 0 {
		return ""
	}
	return fmt.Sprintf(format, s.o.Escape)
}

// may takes what the sharer lets this viewer do from now on.
func (s *screen) may(rights string) {
	types := s.mayType(rights)
	if rights == "" || types == s.types || !s.raw {
		return
	}
	s.types, s.turned = types, time.Now()
	s.finder.Anywhere = !types
	s.sender.drop()
	s.tellSize()
}
