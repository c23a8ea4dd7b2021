package share

import (
	"context"
	"fmt"
	"strings"

	"mesh/proto"
)

// The title that the terminal had is kept by it meanwhile.
const (
	pushTitle = "\x1b[22;2t"
	popTitle  = "\x1b[23;2t"
)

// tell takes note of who is there.
func (h *Host) tell(s Status) {
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

// titles shows who is there on the title of the sharer's terminal.
func (h *Host) titles(ctx context.Context) {
	for {
		select {
		case s := <-h.status:
			h.drawing.Lock()
			h.caption = caption(s)
			h.entitle()
			h.drawing.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// entitle gives the console its title, unless the command is within a sequence. It
// is called with drawing held.
func (h *Host) entitle() {
	if h.caption == "" || h.console == nil || h.over() {
		return
	}
	h.order.Lock()
	ground := h.emulator.Ground()
	h.order.Unlock()
	if ground {
		_, _ = h.console.Write([]byte("\x1b]2;" + h.caption + "\x07"))
		h.caption = ""
	}
}

func caption(s Status) string {
	text := fmt.Sprintf("shared: %d viewers", s.Viewers)
	if s.Viewers == 1 {
		text = "shared: 1 viewer"
	}
	if s.Paused {
		text += ", paused"
	}
	if len(s.Writers) > 0 {
		text += "; typing: " + strings.Join(s.Writers, ", ")
	}
	return shown(text, proto.MaxTermTextBytes)
}
