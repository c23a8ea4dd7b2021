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

func newDrawing(term, colorTerm string) *drawing {
	return &drawing{painter: draw.NewPainter(term, colorTerm)}
}

// paint returns the bytes that make a terminal of cols by rows show t. They are valid
// until the next call.
func (d *drawing) paint(t *vt.Terminal, cols, rows int, status string) []byte {
	d.window.Cols, d.window.Rows, d.window.Status = cols, rows, status
	return d.painter.Paint(d.window.Picture(t, draw.KeysForwarded))
}

// drawLoop draws when redraw asks for it. It delays nothing else.
func (t *terminal) drawLoop(ctx context.Context) {
	for {
		select {
		case <-t.redraws:
		case <-ctx.Done():
			return
		}
		if t.draw() != nil {
			return // the session goes on for the viewers
		}
		select {
		case <-time.After(share.FrameTime):
		case <-ctx.Done():
			return
		}
	}
}

func (t *terminal) draw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.private {
		return nil
	}
	cols, rows := t.console.Size()
	var painted []byte
	t.session.Screen(func(shared *vt.Terminal) { painted = t.drawing.paint(shared, cols, rows, t.statusLine) })
	if len(painted) == 0 {
		return nil
	}
	_, err := t.console.Write(painted)
	return err
}

// redraw makes drawLoop draw what has changed.
func (t *terminal) redraw() {
	select {
	case t.redraws <- struct{}{}:
	default:
	}
}

// redrawAll makes drawLoop draw everything, because the terminal may have lost it.
func (t *terminal) redrawAll() {
	t.mu.Lock()
	t.drawing.painter.Forget()
	t.mu.Unlock()
	t.redraw()
}
