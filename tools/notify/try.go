package notify

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mesh/proto"
)

// Result is what came of a message at one channel.
type Result struct {
	Channel string
	Err     error
	Kept    bool // it waits for another attempt
}

// ErrNotTested is the result of a channel where a request would count as one of a job.
var ErrNotTested = errors.New("not tested: a request would count as one of a job")

// Try sends a text through each channel, at once and whatever [Settings.On] says, and
// returns what came of it, in the order of the channels. A text that does not get
// through is kept for later attempts. An empty text stands for a test, which is not.
func Try(ctx context.Context, s Settings, state, text string, log *slog.Logger) []Result {
	n := newNotifier(s, state, log)
	m := Message{Event: EventNotify, Kind: Text, Words: "a message", Says: cut(proto.HideSecrets(escapeLines(text)), maxTextBytes)}
	if text == "" {
		m.Words, m.Says = "a test", "This is a test. Failures of mesh will be told here."
	}
	m.NamelessWords, m.NamelessSays = m.Words, m.Says
	m = m.complete(n.host, s.HideNames, time.Now())
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	results := make([]Result, len(s.Channels))
	var wg sync.WaitGroup
	for i, c := range s.Channels {
		wg.Go(func() { results[i] = n.try(ctx, c, m, text != "") })
	}
	wg.Wait()
	return results
}

func (n *Notifier) try(ctx context.Context, c Channel, m Message, keep bool) Result {
	r := Result{Channel: c.Kind}
	attempt, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	if c.Kind == Ping {
		r.Err = c.tryPing(attempt)
		return r
	}
	r.Err = c.send(attempt, m)
	if keep {
		n.spool.noteAttempt(c.Kind, r.Err)
	}
	if r.Err != nil && keep {
		i := item{Channel: c.Kind, Message: m, Since: m.Time}
		i.failed(time.Now(), 0)
		dropped, err := n.spool.add(i)
		n.drop(dropped)
		r.Kept = err == nil
	}
	return r
}

// tryPing makes a request that is noted at the check and changes nothing there.
func (c Channel) tryPing(ctx context.Context) error {
	to, err := readSecret(c.URLFile)
	if err == nil && (c.Successes || strings.Contains(to, "{job}")) {
		err = ErrNotTested
	}
	if err != nil {
		return err
	}
	return c.ping(ctx, "", "/log")
}

// escapeLines escapes a text, but keeps its lines.
func escapeLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(proto.OneLine(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return strings.TrimSpace(b.String())
}
