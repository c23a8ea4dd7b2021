package notify

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"mesh/proto"
)

func randomText() string { return rand.Text()[:8] }

// flush sends what waits for the channels, to all at once. It returns when each has been
// tried, and at the latest shortly after ctx has ended.
func (n *Notifier) flush(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range n.now().Channels {
		wg.Go(func() { n.flushChannel(ctx, c) })
	}
	wg.Wait()
}

// flushChannel sends what waits for one channel, if an attempt is due.
func (n *Notifier) flushChannel(ctx context.Context, c Channel) {
	loose := n.takeLoose(c.Kind)
	if len(loose) == 0 && !n.spool.has(c.Kind) {
		return
	}
	var items []item
	if unlock, err := n.spool.lock(ctx, c.Kind); err == nil {
		defer unlock()
		items = n.spool.items(c.Kind)
	} else if ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
		n.log.Warn("what waits in the state folder is not sent", "channel", c.Kind, "err", err)
	}
	items = append(items, loose...)
	now := time.Now()
	if !slices.ContainsFunc(items, func(i item) bool { return i.due(now) }) {
		return
	}
	for _, group := range groupsOf(c.Kind, items) {
		n.sendGroup(ctx, c, group)
	}
}

func (n *Notifier) takeLoose(channel string) []item {
	n.mu.Lock()
	defer n.mu.Unlock()
	loose := n.loose[channel]
	delete(n.loose, channel)
	return loose
}

// groupsOf returns the items by the requests that tell them. The pings of a job are one
// group, and what is told of it is the last one.
func groupsOf(channel string, items []item) (groups [][]item) {
	if channel != Ping {
		return [][]item{items}
	}
	of := make(map[string]int)
	for _, i := range items {
		at, known := of[i.Message.Job]
		if !known {
			at = len(groups)
			of[i.Message.Job] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

// sendGroup makes one attempt, and removes what it has sent.
func (n *Notifier) sendGroup(ctx context.Context, c Channel, items []item) {
	var messages []Message
	for _, i := range items {
		messages = append(messages, i.Message)
	}
	dropped := 0
	if c.Kind != Ping {
		dropped = n.spool.readState().Dropped[c.Kind]
	} else {
		messages = messages[len(messages)-1:]
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTime)
	err := c.send(attempt, merge(messages, dropped, time.Now()))
	cancel()
	n.count(c.Kind, err)
	n.spool.noteAttempt(c.Kind, err)
	if err != nil {
		n.log.Info("notification failed", "channel", c.Kind, "messages", len(messages), "end", proto.CodeOf(err), "err", err)
		n.postpone(items, err)
		return
	}
	n.log.Info("notification sent", "channel", c.Kind, "messages", len(messages))
	for _, i := range items {
		if i.path != "" {
			_ = os.Remove(i.path)
		}
	}
	if dropped > 0 {
		_ = n.spool.editState(func(s *state) { s.Dropped[c.Kind] = max(s.Dropped[c.Kind]-dropped, 0) })
	}
}

func (n *Notifier) count(channel string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.counts[channel]
	if err == nil {
		c.OK++
	} else {
		c.Failed++
	}
	n.counts[channel] = c
}

// postpone notes a failed attempt, and gives up what is too old.
func (n *Notifier) postpone(items []item, err error) {
	pause := time.Duration(0)
	if l, ok := errors.AsType[*later](err); ok {
		pause = l.after
	}
	now, old := time.Now(), 0
	for _, i := range items {
		i.failed(now, pause)
		switch {
		case i.path == "": // not even the spool took it
			if i.Channel != Ping {
				old++
			}
		case i.tooOld(now):
			_ = os.Remove(i.path)
			if i.Channel != Ping {
				old++
			}
		default:
			_ = i.write() // else it is tried again earlier
		}
	}
	if old > 0 {
		n.drop(map[string]int{items[0].Channel: old})
	}
}
