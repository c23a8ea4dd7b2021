package host

import (
	"context"
	"time"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/share"
	"mesh/pipe/term/vt"
)

// drawing draws the shared terminal on the sharer's own, whatever size that has.
type drawing struct {
	window  draw.Window
	painter *draw.Painter
}

func newDrawing(term string) *drawing { return &drawing{painter: draw.NewPainter(term)} }

// paint returns the bytes that make a terminal of cols by rows show t; they are valid
// until the next call.
func (d *drawing) paint(t *vt.Terminal, cols, rows int, status string) []byte {
	d.window.Cols, d.window.Rows, d.window.Status = cols, rows, status
	return d.painter.Paint(d.window.Picture(t, draw.KeysForwarded))
}

// draws shows the terminal on the sharer's own where their sizes may differ. It holds
// nothing else up, and may be left in a write to a terminal that takes nothing.
func (h *Host) draws(ctx context.Context) {
	for {
		select {
		case <-h.undrawn:
		case <-ctx.Done():
			return
		}
		if h.draw() != nil {
			return // the session goes on for the others
		}
		select {
		case <-time.After(share.FrameTime):
		case <-ctx.Done():
			return
		}
	}
}

func (h *Host) draw() error {
	h.drawing.Lock()
	defer h.drawing.Unlock()
	cols, rows := h.console.Size()
	var picture []byte
	h.Screen(func(t *vt.Terminal) { picture = h.drawn.paint(t, cols, rows, h.line) })
	if len(picture) == 0 {
		return nil
	}
	_, err := h.console.Write(picture)
	return err
}

// redraw has draws draw, all of it if what is there may be lost.
func (h *Host) redraw(lost bool) {
	if lost {
		h.drawing.Lock()
		h.drawn.painter.Forget()
		h.drawing.Unlock()
	}
	select {
	case h.undrawn <- struct{}{}:
	default:
	}
}
