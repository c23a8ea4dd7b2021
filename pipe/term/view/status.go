package view

import (
	"fmt"
	"time"

	"mesh/pipe/term/keys"
	"mesh/proto"
)

// setBroken sets whether the link is broken.
func (d *display) setBroken(broken bool) {
	d.dropExpiredKeys(time.Now())
	d.sender.setBroken(broken, d.finder.Pasting())
	if d.dropped && !broken {
		d.showNotice("input was dropped while the link was broken")
	}
	d.brokenSince, d.dropped = time.Time{}, false
	if broken {
		d.brokenSince = time.Now()
	}
	d.dirty = true
}

// showNotice shows a line for noticeTime.
func (d *display) showNotice(text string) {
	d.notice, d.noticeUntil = text, time.Now().Add(noticeTime)
	d.dirty = true
}

// updateStatus sets the status line.
func (d *display) updateStatus(now time.Time) {
	d.dropExpiredKeys(now)
	w := &d.window
	w.Urgent = true
	switch {
	case d.help && d.canType:
		w.Status = fmt.Sprintf("after a newline, %c and: %s", d.o.Escape, keys.CommandHelp)
	case d.help:
		w.Status = "q leave, ^Z stop, " + d.howToAsk("%cr ask to type, ") + "arrows PgUp PgDn move, f follow"
	case !d.brokenSince.IsZero():
		w.Status = d.offlineStatus(now)
		d.noticeTimer.Reset(time.Second)
	case !d.hasPicture:
		w.Status = "waiting for the sharer's screen"
	case now.Before(d.noticeUntil):
		w.Status = d.notice
		d.noticeTimer.Reset(d.noticeUntil.Sub(now))
	case d.heldKeys() > floodBytes:
		w.Status = fmt.Sprintf("%d bytes of input wait for the shared terminal (^C drops them)", d.heldKeys())
		d.noticeTimer.Reset(time.Second)
	case w.Scrolled():
		w.Status = d.scrolledStatus()
	case d.ctl.Paused:
		w.Status = "the sharer has paused the output"
	default:
		w.Status, w.Urgent = d.summary(), false
	}
}

// dropExpiredKeys drops keys that wait, when the link has been broken for too long.
func (d *display) dropExpiredKeys(now time.Time) {
	if d.raw && !d.brokenSince.IsZero() && now.Sub(d.brokenSince) > typedTime && d.sender.dropKeys(0) > 0 {
		d.dropped, d.dropping = true, d.finder.Pasting()
	}
}

// heldKeys returns how many bytes of keys wait to be sent.
func (d *display) heldKeys() int {
	n, _ := d.sender.keyCounts()
	return n
}

// offlineStatus returns the status line for the time of a broken link.
func (d *display) offlineStatus(now time.Time) string {
	since := now.Sub(d.brokenSince)
	text := fmt.Sprintf("the link is broken, waiting for it (%d s)", int(since.Seconds()))
	n, sent := d.sender.keyCounts()
	if way := sent - d.in.accepted; way > 0 {
		text += fmt.Sprintf(", %d bytes not confirmed", way)
	}
	if n > 0 {
		text += fmt.Sprintf(", %d bytes typed", n)
	} else if d.dropped {
		text += ", input dropped"
	}
	return text
}

// scrolledStatus returns the status line for lines above the screen.
func (d *display) scrolledStatus() string {
	lines, all := d.window.Above(d.t)
	how := "f goes back"
	if d.canType {
		how = "typing goes back"
	}
	return fmt.Sprintf("%d of %d lines up, %s", lines, all, how)
}

// summary describes the shared terminal.
func (d *display) summary() string {
	cols, rows := d.t.Size()
	text := fmt.Sprintf("%dx%d", cols, rows)
	if d.session.Name != "" {
		text = proto.EscapeText(d.session.Name) + " " + text
	}
	if cols != d.window.Cols || rows != d.window.Rows {
		text += fmt.Sprintf(" (you %dx%d)", d.window.Cols, d.window.Rows)
	}
	if !d.canType {
		text += ", read-only"
	}
	if d.ctl.Ask {
		text += " (asked to type)"
	}
	if d.ctl.Viewers > 1 {
		text += fmt.Sprintf(", %d viewers", d.ctl.Viewers)
	}
	for i, name := range d.ctl.Writers {
		s := ", "
		if i == 0 {
			s = ", typing: "
		}
		text += s + proto.EscapeText(name)
	}
	return text
}
