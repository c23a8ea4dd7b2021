package notify

import (
	"context"
	"log/slog"
	"time"
)

// lookEvery is how often a daemon looks for messages that other processes could not send.
const lookEvery = time.Minute

// NewDaemon returns a Notifier for a process that runs until it is stopped: it remembers
// in memory what was told, and may get its channels later, by [Notifier.Reload]. The
// process must call [Notifier.Run].
func NewDaemon(s Settings, state string, log *slog.Logger) *Notifier {
	n := newNotifier(s, state, log)
	n.told = n.spool.readState().Subjects
	return n
}

// Run sends what waits, and what Post and PostEnd add, until ctx ends. What is left then,
// and an attempt that goes on, have 3 s more.
func (n *Notifier) Run(ctx context.Context) {
	if n == nil {
		return
	}
	stopping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, cancel) })()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		n.mu.Lock()
		counts := n.limiter.ended(time.Now())
		n.mu.Unlock()
		for _, m := range counts {
			n.post(m)
		}
		limited, over := context.WithTimeout(stopping, tellTime)
		n.flush(limited)
		over()
		select {
		case <-ctx.Done():
			n.flush(stopping)
			return
		case <-tick.C:
		case <-n.wake:
		}
	}
}

// Post adds a message for [Notifier.Run] to send.
func (n *Notifier) Post(m Message) {
	if n != nil && n.now().Tells() {
		n.post(m)
	}
}

// PostEnd adds the end of a delivery, if it is to be told.
func (n *Notifier) PostEnd(m Message) {
	if n != nil && n.now().Tells() {
		n.postEnd(m)
	}
}

// Reload replaces the settings. Settings without a channel tell nothing from now on.
func (n *Notifier) Reload(s Settings) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settings = s
}

// Repeat returns how long the same is not told again.
func (n *Notifier) Repeat() time.Duration { return n.now().Repeat }
