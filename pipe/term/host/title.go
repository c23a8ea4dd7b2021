package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/vt"
	"mesh/proto"
)

// tell takes note of who is there.
func (h *Host) tell(s share.Status) {
	for {
		select {
		case h.status <- s:
			return
		default:
		}
		select {
		case <-h.status: // an older one
		default:
		}
	}
}

const (
	// titleTime is the least time between two titles, bellTime between two bells.
	titleTime = 50 * time.Millisecond
	bellTime  = 10 * time.Second
)

// titles shows who is there on the title of the sharer's terminal, and rings its bell
// when one more asks for something.
func (h *Host) titles(ctx context.Context) {
	asking, rung := 0, time.Time{}
	for {
		select {
		case s := <-h.status:
			now := time.Now()
			h.drawing.Lock()
			h.caption = caption(s)
			h.line = h.caption
			if len(s.Asking) > asking && now.Sub(rung) > bellTime {
				h.bell, rung = true, now
			}
			asking = len(s.Asking)
			h.entitle()
			h.drawing.Unlock()
			if h.drawn != nil {
				h.redraw(false)
			}
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(titleTime):
		case <-ctx.Done():
			return
		}
	}
}

// entitle gives the console its title, unless the command is within a sequence. It
// is called with drawing held.
func (h *Host) entitle() {
	if h.caption == "" || h.console == nil || h.Over() {
		return
	}
	var ground bool
	h.Screen(func(t *vt.Terminal) { ground = t.Ground() })
	if ground || h.drawn != nil {
		text := "\x1b]2;" + h.caption + "\a"
		if h.bell {
			text += "\a"
		}
		_, _ = h.console.Write([]byte(text))
		h.caption, h.bell = "", false
	}
}

func caption(s share.Status) string {
	text := fmt.Sprintf("shared: %d viewers", s.Viewers)
	if s.Viewers == 1 {
		text = "shared: 1 viewer"
	}
	if s.Smaller > 0 {
		text += fmt.Sprintf(" (%d smaller)", s.Smaller)
	}
	if s.Paused {
		text += ", paused"
	}
	if s.Gap {
		text += ", NOT RECORDED"
	}
	if len(s.Asking) > 0 {
		text += "; asks to type: " + strings.Join(s.Asking, ", ")
	}
	if len(s.Writers) > 0 {
		text += "; typing: " + strings.Join(s.Writers, ", ")
	}
	return share.Shown(text, proto.MaxTermTextBytes)
}
