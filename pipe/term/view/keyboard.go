package view

import (
	"fmt"
	"time"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/keys"
	"mesh/proto/wire"
)

// takeInput handles a chunk of the input, and reports whether the viewer leaves.
func (d *display) takeInput(chunk []byte, ok bool) (leaves bool) {
	if !d.raw {
		d.in.sendChunk(chunk, ok)
		return false
	}
	if !ok {
		return true // the terminal is gone
	}
	m := d.t.Modes()
	d.finder.DropMarks, d.finder.DropText = d.canType && !m.Paste, draw.AddsText(m)
	d.noteKeys(time.Now())
	for len(chunk) > 0 {
		send, c, n := d.finder.Next(chunk)
		if d.help && d.finder.Pressed() {
			d.help, d.dirty = false, true
		}
		if c == keys.Interrupt && d.canType {
			send = d.dropFlood(send)
		}
		if d.takeKeys(send) {
			return true
		}
		switch c {
		case keys.Detach:
			d.sender.dropKeys(floodBytes)
			return true
		case keys.Pasted:
			d.dropping = false
			d.sender.endOfPaste()
		case keys.Suspend:
			go func() { _ = d.console.Suspend() }()
		case keys.Help:
			d.help, d.dirty = true, true
		case keys.Status:
			d.showNotice(d.summary())
		case keys.Ask:
			d.ask()
		case keys.PanUp, keys.PanDown, keys.PanLeft, keys.PanRight:
			d.pan(c)
			d.dirty = true
		}
		chunk = chunk[n:]
	}
	if d.finder.Withholds() {
		d.flushTimer.Reset(flushTime)
	} else {
		d.flushTimer.Stop()
	}
	return false
}

// takeKeys sends keys, or executes them if this viewer may not type. It reports
// whether the viewer leaves.
func (d *display) takeKeys(keys []byte) (leaves bool) {
	switch {
	case len(keys) == 0:
		return false
	case !d.answered:
		return keys[0] == 'C'-'@' // whether the viewer may type is not known yet
	case !d.canType:
		return d.readOnlyKeys(keys)
	}
	if keys = d.takeScrollKeys(keys); len(keys) == 0 {
		return false
	}
	if d.window.Moved() {
		d.window.FollowCursor()
		d.dirty = true
	}
	if d.dropping || !d.sender.queueKeys(keys) {
		d.dropRest(len(keys))
	}
	if d.heldKeys() > floodBytes {
		d.dirty = true // the status line shows them
	}
	return false
}

// pasteGap is the pause that ends a paste whose end the terminal does not mark.
const pasteGap = 300 * time.Millisecond

// noteKeys notes that keys have come. After a pause nothing is dropped any more, except
// within a marked paste.
func (d *display) noteKeys(now time.Time) {
	if d.dropping && !d.finder.Pasting() && now.Sub(d.keysCame) > pasteGap {
		d.dropping = false
	}
	d.keysCame = now
}

// dropRest drops n bytes of keys, and all that follow, to the end of the paste.
func (d *display) dropRest(n int) {
	if !d.dropping {
		d.dropping, d.dropBytes = true, 0
		d.sender.endPaste()
	}
	d.dropBytes += n
	d.dropped = !d.brokenSince.IsZero()
	d.showNotice(fmt.Sprintf("too much waits for the shared terminal: %d bytes of input dropped", d.dropBytes))
}

// dropFlood handles keys that end with Ctrl-C. If a flood waits to be sent, it drops it,
// and the keys before. It returns the keys that are left.
func (d *display) dropFlood(send []byte) []byte {
	n := d.sender.dropKeys(floodBytes)
	if n == 0 {
		return send
	}
	d.dropping = false
	d.showNotice(fmt.Sprintf("Ctrl-C: %d bytes of input dropped", n))
	return keys.LastInterrupt(send)
}

// ask asks the sharer for the right to type.
func (d *display) ask() {
	switch {
	case d.canType:
		d.showNotice("you may type already")
	case d.o.ReadOnly || !d.raw:
		d.showNotice("this view types nothing")
	case d.answered:
		d.sender.send(&wire.TermCtl{Ask: true})
		d.showNotice("the sharer is asked to let you type")
	}
}

// howToAsk formats a hint on how to ask for the right to type, or "" if that is
// impossible.
func (d *display) howToAsk(format string) string {
	if d.o.ReadOnly || !d.raw || d.o.Escape == 0 {
		return ""
	}
	return fmt.Sprintf(format, d.o.Escape)
}

// setRights sets what the sharer allows from now on.
func (d *display) setRights(rights string) {
	types := d.allowsTyping(rights)
	if rights == "" || types == d.canType || !d.raw {
		return
	}
	d.canType, d.rightsChanged = types, time.Now()
	d.finder.Anywhere = !types
	d.sender.dropKeys(0)
	d.sendSize()
}
