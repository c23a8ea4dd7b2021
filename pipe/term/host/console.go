package host

import (
	"context"
	"time"

	"mesh/pipe"
	"mesh/pipe/term/console"
	"mesh/pipe/term/vt"
)

// secure sees to it that our terminal comes back to its main screen, in case we
// end now, if the command has left that. It is called with drawing held.
func (h *Host) secure() {
	if h.console == nil {
		return
	}
	var alt bool
	h.Screen(func(t *vt.Terminal) { alt = t.Modes().AltScreen })
	if alt == h.alt {
		return
	}
	h.alt = alt
	leave := console.Reset + console.PopTitle
	if alt {
		leave = console.Main + leave
	}
	h.console.SetLeave(leave)
}

// keys types what comes from the sharer's keyboard. It reads only when there is
// something, so that what is typed after the end is the shell's.
func (h *Host) keys(ctx context.Context) {
	buf := make([]byte, 4<<10)
	for {
		if pipe.ReadableWithin(h.o.In, keyTime) {
			if ctx.Err() != nil || h.Over() {
				return
			}
			n, err := h.o.In.Read(buf)
			if n > 0 {
				h.Type(buf[:n])
			}
			if err != nil {
				return // a terminal that is gone sends SIGHUP too
			}
		}
		if ctx.Err() != nil || h.Over() {
			return
		}
	}
}

// sizes follows the size of the sharer's terminal, from one on, and draws everything anew when
// that may have lost it.
func (h *Host) sizes(ctx context.Context, cols, rows int) {
	for {
		select {
		case <-h.console.Changed():
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(sizeTime):
		case <-ctx.Done():
			return
		}
		if c, r := h.console.Size(); c != cols || r != rows {
			cols, rows = c, r
			h.Resize(cols, rows)
			if h.drawn == nil {
				continue
			}
		}
		if h.drawn != nil {
			h.redraw(true)
			continue
		}
		h.drawing.Lock()
		_, _ = h.console.Write(h.Repaint()) // one that is gone is noticed elsewhere
		h.drawing.Unlock()
	}
}
