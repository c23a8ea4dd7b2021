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

const (
	// titleTime is the least time between two titles, bellTime between two bells.
	titleTime = 50 * time.Millisecond
	bellTime  = 10 * time.Second
)

// queueStatus queues a status for showStatus, in place of an older one.
func (t *terminal) queueStatus(s share.Status) {
	for {
		select {
		case t.status <- s:
			return
		default:
		}
		select {
		case <-t.status:
		default:
		}
	}
}

// showStatus shows the status in the title of the sharer's terminal. It rings the bell
// when another viewer asks for the right to type.
func (t *terminal) showStatus(ctx context.Context) {
	asking, rung := 0, time.Time{}
	for {
		select {
		case s := <-t.status:
			now := time.Now()
			ring := len(s.Asking) > asking && now.Sub(rung) > bellTime
			if ring {
				rung = now
			}
			asking = len(s.Asking)
			t.setTitle(titleOf(s), ring)
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

func (t *terminal) setTitle(title string, ring bool) {
	t.mu.Lock()
	t.title, t.statusLine = title, title
	t.bell = t.bell || ring
	t.writeTitle()
	t.mu.Unlock()
	if t.drawing != nil {
		t.redraw()
	}
}

// writeTitle writes a new title, unless the command's output is within a sequence. It is called with mu held.
func (t *terminal) writeTitle() {
	if t.title == "" || t.private || t.session.Over() {
		return
	}
	var ground bool
	t.session.Screen(func(t *vt.Terminal) { ground = t.Ground() })
	if !ground && t.drawing == nil {
		return
	}
	text := "\x1b]2;" + t.title + "\a"
	if t.bell {
		text += "\a"
	}
	_, _ = t.console.Write([]byte(text))
	t.title, t.bell = "", false
}

func titleOf(s share.Status) string {
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
	if s.Held {
		text += ", stopped by ^S (^Q continues)"
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
