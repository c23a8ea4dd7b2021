package host

import (
	"context"
	"os"
	"sync"
	"time"

	"mesh/pipe"
	"mesh/pipe/term/console"
	"mesh/pipe/term/draw"
	"mesh/pipe/term/share"
	"mesh/pipe/term/vt"
)

const (
	// resizeTime is how long the size of the sharer's terminal must stay the same
	// before it is used.
	resizeTime = 50 * time.Millisecond
	// keyTime bounds a wait for the keyboard: then the end of the session is noticed.
	keyTime = 100 * time.Millisecond
)

// terminal is the sharer's own terminal. Output is written to it as it is, or, where
// its size may differ from the shared one's, it is drawn.
type terminal struct {
	session *share.Session
	in      *os.File
	console *console.Console
	drawing *drawing          // nil if output is written as it is; its contents are guarded by mu
	redraws chan struct{}     // redraw sends; has room for one value; never closed
	status  chan share.Status // queueStatus sends; has room for the newest; never closed

	// mu is held while console and emulator are at different positions in the output,
	// and by whatever else writes to the console. It guards what follows.
	mu         sync.Mutex
	private    bool   // lines for the sharer alone cover the screen
	gone       bool   // writes fail: the session goes on for the viewers
	statusLine string // the newest status
	title      string // not written yet; "" if there is none
	bell       bool   // ring it with the title
	alt        bool   // the alternate screen is on
}

// start takes the terminal over and starts its goroutines. Those of wg end when ctx
// does; the others may stay in a write to a terminal that accepts nothing.
func (t *terminal) start(ctx context.Context, wg *sync.WaitGroup, o *Options) error {
	sequences := console.Options{Enter: console.PushTitle, Leave: console.Reset + console.PopTitle}
	if t.drawing != nil {
		sequences.Enter += console.Alternate + draw.Setup
		sequences.Leave = console.Reset + console.Main + console.PopTitle
	}
	opened, err := console.Open(o.In, o.Out, sequences)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.console = opened
	t.mu.Unlock()
	cols, rows := t.console.Size()
	t.session.Resize(cols, rows)
	if t.drawing != nil {
		t.redraw()
		go t.drawLoop(ctx)
	}
	wg.Go(func() { t.readKeys(ctx) })
	go t.followSize(ctx, cols, rows)
	go t.showStatus(ctx)
	return nil
}

// show gives output to the viewers, and then shows it here. Viewers do not delay it.
func (t *terminal) show(p []byte) {
	if t.drawing != nil {
		t.session.Output(p)
		t.redraw()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session.Output(p)
	t.rememberScreen()
	if t.gone || t.private {
		return
	}
	if _, err := t.console.Write(p); err != nil {
		t.gone = true
		return
	}
	t.writeTitle()
}

// rememberScreen tells the console which screen the command has switched to, so that
// the end of the session restores the main one. It is called with mu held.
func (t *terminal) rememberScreen() {
	var alt bool
	t.session.Screen(func(t *vt.Terminal) { alt = t.Modes().AltScreen })
	if alt == t.alt {
		return
	}
	t.alt = alt
	leave := console.Reset + console.PopTitle
	if alt {
		leave = console.Main + leave
	}
	t.console.SetLeave(leave)
}

// readKeys types what the sharer's keyboard sends. It reads only when there is input,
// so that what is typed after the end is left to the shell.
func (t *terminal) readKeys(ctx context.Context) {
	buf := make([]byte, 4<<10)
	for {
		readable := pipe.ReadableWithin(t.in, keyTime)
		if ctx.Err() != nil || t.session.Over() {
			return
		}
		if !readable {
			continue
		}
		n, err := t.in.Read(buf)
		if n > 0 && !t.endPrivate() {
			t.session.Type(buf[:n])
		}
		if err != nil {
			return // a terminal that goes away sends SIGHUP, too
		}
	}
}

// followSize follows the size of the terminal, which begins with the given one, and
// draws everything again when the terminal may have lost it.
func (t *terminal) followSize(ctx context.Context, cols, rows int) {
	for {
		select {
		case <-t.console.Changed():
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(resizeTime):
		case <-ctx.Done():
			return
		}
		c, r := t.console.Size()
		same := c == cols && r == rows
		if !same {
			cols, rows = c, r
			t.session.Resize(cols, rows)
		}
		switch {
		case t.drawing != nil:
			t.redrawAll()
		case same: // it was suspended, or covered
			t.repaint()
		}
	}
}

// repaint writes the whole screen.
func (t *terminal) repaint() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.private {
		return
	}
	_, _ = t.console.Write(t.session.Repaint()) // show notices a terminal that is gone
}
