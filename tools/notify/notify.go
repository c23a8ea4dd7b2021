// Package notify tells a person what happened while nobody watched: through a Gotify or
// ntfy server, a dead man's switch, a webhook or a command. Telling never changes the
// result of what it tells of. A message that does not get through waits in the state
// folder, for the next run of a tool or for a daemon.
package notify

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mesh/proto"
)

// Folder is the name of the folder in the state folder where messages wait.
const Folder = "notify"

// The times of a delivery.
const (
	attemptTime = 5 * time.Second // of one attempt at one channel
	tellTime    = 8 * time.Second // of all that a tool does for its message
	stopTime    = 3 * time.Second // of all that is left after a signal
)

// The words of --notify-on and of the key on.
const (
	OnFailure = "failure"
	OnAlways  = "always"
	OnNever   = "never"
)

// Words are the words of --notify-on.
var Words = []string{OnFailure, OnAlways, OnNever}

// DefaultRepeat is how long the same failure is not told again, unless the settings say
// something else.
const DefaultRepeat = 24 * time.Hour

// Settings are the table [notify]. The zero value has no channel, and tells nothing.
type Settings struct {
	// On is one of [Words]; "" stands for [OnFailure].
	On string
	// Repeat is how long the same failure is not told again; 0 tells each one.
	Repeat time.Duration
	// HideNames keeps the names of peers and files out of messages.
	HideNames bool
	Channels  []Channel
}

// Tells reports whether anything is to be told.
func (s Settings) Tells() bool { return len(s.Channels) > 0 && s.On != OnNever }

// Notifier tells a person what happens to one process. Its methods may be called by
// many goroutines. Those of a nil Notifier do nothing.
type Notifier struct {
	spool spool
	host  string
	log   *slog.Logger
	wake  chan struct{} // has place for one; sent by post, received by Run; never closed

	mu       sync.Mutex // guards what follows
	settings Settings
	told     map[string]subject // of a daemon; nil in a process that ends soon
	limiter  limiter
	counts   map[string]Count
	loose    map[string][]item // by channel: what could not be written to the spool
}

// Count says how many deliveries at a channel went well, how many attempts failed, and
// how many messages were given up.
type Count struct{ OK, Failed, Dropped int }

// New returns a Notifier that keeps in the state folder what does not get through. It
// returns nil if the settings tell nothing. log may be nil.
func New(s Settings, state string, log *slog.Logger) *Notifier {
	if !s.Tells() {
		return nil
	}
	return newNotifier(s, state, log)
}

func newNotifier(s Settings, state string, log *slog.Logger) *Notifier {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return &Notifier{
		spool: spool{filepath.Join(state, Folder)}, host: proto.EscapeText(host), log: log, wake: make(chan struct{}, 1),
		settings: s, limiter: make(limiter), counts: make(map[string]Count), loose: make(map[string][]item),
	}
}

func (n *Notifier) now() Settings {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.settings
}

// Ended tells how a run and its branches have ended, if the settings want that, and what
// waits. It returns within 8 s, and within 3 s after a signal has ended ctx.
func (n *Notifier) Ended(ctx context.Context, ends ...Message) {
	if n == nil {
		return
	}
	told := false
	for _, m := range ends {
		told = n.postEnd(m) || told
	}
	if !told && !n.spool.anyDue(time.Now()) {
		return
	}
	n.flushWithin(ctx)
}

// Tell tells a message, whatever the settings say of the ends of runs. It returns as
// [Notifier.Ended] does.
func (n *Notifier) Tell(ctx context.Context, m Message) {
	if n == nil {
		return
	}
	n.post(m)
	n.flushWithin(ctx)
}

// flushWithin sends what waits. ctx may have ended: it is the signal that shortens the
// time.
func (n *Notifier) flushWithin(ctx context.Context) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if proto.CodeOf(context.Cause(ctx)) >= firstSignal {
			time.AfterFunc(stopTime, cancel)
		}
	})
	defer stop()
	n.flush(limited)
}

// firstSignal is the first code of a tool that a signal has ended.
const firstSignal = 128

// postEnd puts the end of a run or of a delivery into the spool, if it is to be told.
func (n *Notifier) postEnd(m Message) (told bool) {
	s := n.now()
	m = m.withResult()
	pings := n.pingEnd(s, m)
	v := n.judge(m, s)
	switch {
	case v.works:
		m.Kind, m.Failures, m.Since = Works, v.before.Failures, v.before.Since
	case *m.Code >= failureCode || s.On == OnAlways && *m.Code != proto.OK:
		m.Kind = Failed
		m.Failures = v.failures
		if !v.tell && s.On != OnAlways {
			return pings
		}
	case s.On == OnAlways && m.Event != EventBranch: // the end of the run says it
		m.Kind = Done
	default:
		return pings
	}
	if !n.post(m) {
		return pings
	}
	n.remember(m.Subject)
	return true
}

// failureCode is the first code of a failure that a run can do nothing about: below are
// a wrong command line and a bug.
const failureCode = 10

// post puts a message into the spool for each channel but [Ping].
func (n *Notifier) post(m Message) (told bool) {
	s, now := n.now(), time.Now()
	if m.From != "" {
		n.mu.Lock()
		allowed := n.limiter.allow(m.From, m.label(s.HideNames), now)
		n.mu.Unlock()
		if !allowed {
			return false
		}
	}
	m = m.complete(n.host, s.HideNames, now)
	for _, c := range s.Channels {
		if c.Kind != Ping {
			n.add(item{Channel: c.Kind, Message: m, Since: now})
			told = true
		}
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return told
}

// pingEnd puts the end of a run into the spool for the channel [Ping], which hears of all
// runs, and of no deliveries.
func (n *Notifier) pingEnd(s Settings, m Message) (told bool) {
	for _, c := range s.Channels {
		if c.Kind == Ping && m.Event == EventEnd {
			m := m.complete(n.host, s.HideNames, time.Now())
			n.add(item{Channel: c.Kind, Message: m, Since: m.Time})
			told = true
		}
	}
	return told
}

// Begin tells the channel [Ping] that a run begins, and does not wait for the answer. Call
// stop before the end of the run is told.
func (n *Notifier) Begin(ctx context.Context, job string) (stop func()) {
	if n == nil {
		return func() {}
	}
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTime)
	var wg sync.WaitGroup
	for _, c := range n.now().Channels {
		if c.Kind == Ping && !c.Successes {
			wg.Go(func() {
				if err := c.ping(attempt, job, "/start"); err != nil && attempt.Err() == nil {
					n.log.Info("notification failed", "channel", c.Kind, "end", proto.CodeOf(err), "err", err)
				}
			})
		}
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// add puts an item into the spool, or where that fails into the memory of this process.
func (n *Notifier) add(i item) {
	dropped, err := n.spool.add(i)
	n.drop(dropped)
	if err != nil {
		n.log.Warn("a notification cannot wait in the state folder", "channel", i.Channel, "err", err)
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.loose[i.Channel] = append(n.loose[i.Channel], i); len(n.loose[i.Channel]) > maxMerged {
			n.loose[i.Channel] = n.loose[i.Channel][1:]
		}
	}
}

// drop counts messages that were given up, by channel.
func (n *Notifier) drop(dropped map[string]int) {
	if len(dropped) == 0 {
		return
	}
	n.mu.Lock()
	for channel, count := range dropped {
		c := n.counts[channel]
		c.Dropped += count
		n.counts[channel] = c
		n.log.Warn("notifications were given up", "channel", channel, "messages", count)
	}
	n.mu.Unlock()
	_ = n.spool.editState(func(s *state) { // without the count, the next message does not say so
		for channel, count := range dropped {
			s.Dropped[channel] += count
		}
	})
}

// Counts returns what came of the deliveries of this process, by channel.
func (n *Notifier) Counts() map[string]Count {
	counts := make(map[string]Count)
	if n == nil {
		return counts
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.settings.Channels {
		counts[c.Kind] = n.counts[c.Kind]
	}
	return counts
}
