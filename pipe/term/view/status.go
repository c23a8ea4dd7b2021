package view

import (
	"fmt"
	"time"

	"mesh/pipe/term/keys"
	"mesh/proto"
)

// link takes that the link is broken, or back.
func (s *screen) link(broken bool) {
	s.expire(time.Now())
	s.sender.hold(broken)
	s.broken, s.dropped = time.Time{}, false
	if broken {
		s.broken = time.Now()
	}
	s.dirty = true
}

// say shows a line for a moment.
func (s *screen) say(text string) {
	s.notes, s.noted = text, time.Now().Add(noticeTime)
	s.dirty = true
}

// line sets the status line.
func (s *screen) line(now time.Time) {
	s.expire(now)
	w := &s.window
	w.Urgent = true
	switch {
	case s.help && s.types:
		w.Status = fmt.Sprintf("after a newline, %c and: %s", s.o.Escape, keys.CommandHelp)
	case s.help:
		w.Status = "q leave, ^Z stop, " + s.howToAsk("%cr ask to type, ") + "arrows PgUp PgDn move, f follow"
	case !s.broken.IsZero():
		w.Status = s.offline(now)
		s.note.Reset(time.Second)
	case !s.began:
		w.Status = "waiting for the sharer's screen"
	case now.Before(s.noted):
		w.Status = s.notes
		s.note.Reset(s.noted.Sub(now))
	case w.Scrolled():
		w.Status = s.scrolled()
	case s.ctl.Paused:
		w.Status = "the sharer holds the output back"
	default:
		w.Status, w.Urgent = s.about(), false
	}
}

// expire drops what was typed, when the link has been broken for too long.
func (s *screen) expire(now time.Time) {
	if !s.broken.IsZero() && now.Sub(s.broken) > typedTime && s.sender.drop() > 0 {
		s.dropped = true
	}
}

// offline is what is shown while the link is broken.
func (s *screen) offline(now time.Time) string {
	since := now.Sub(s.broken)
	text := fmt.Sprintf("the link is broken, waiting for it (%d s)", int(since.Seconds()))
	n, sent := s.sender.waiting()
	if way := sent - s.in.taken; way > 0 {
		text += fmt.Sprintf(", %d bytes on their way", way)
	}
	if n > 0 {
		text += fmt.Sprintf(", %d bytes typed", n)
	} else if s.dropped {
		text += ", what was typed is dropped"
	}
	return text
}

// scrolled says how far back what is shown is.
func (s *screen) scrolled() string {
	lines, all := s.window.Above(s.t)
	how := "f goes back"
	if s.types {
		how = "typing goes back"
	}
	return fmt.Sprintf("%d of %d lines up, %s", lines, all, how)
}

// about says what is viewed.
func (s *screen) about() string {
	cols, rows := s.t.Size()
	text := fmt.Sprintf("%dx%d", cols, rows)
	if s.info.Name != "" {
		text = proto.EscapeText(s.info.Name) + " " + text
	}
	if cols != s.window.Cols || rows != s.window.Rows {
		text += fmt.Sprintf(" (you %dx%d)", s.window.Cols, s.window.Rows)
	}
	if !s.types {
		text += ", read-only"
	}
	if s.ctl.Ask {
		text += " (asked to type)"
	}
	if s.ctl.Viewers > 1 {
		text += fmt.Sprintf(", %d viewers", s.ctl.Viewers)
	}
	for i, name := range s.ctl.Writers {
		s := ", "
		if i == 0 {
			s = ", typing: "
		}
		text += s + proto.EscapeText(name)
	}
	return text
}
