package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/node"
	"mesh/tools/notify"
)

// Try is one try of a run.
type Try struct {
	N   int // from 1 on
	Job string
}

// Env returns the variables that a CMD gets.
func (t Try) Env() []string { return []string{fmt.Sprint("MESH_TRY=", t.N)} }

// Facts are what is known of a transfer at its end.
type Facts struct {
	Peer     string // its label in messages; "" if none was called
	Transfer string
	Name     string // under which a pipe is stored; "" for none
	Bytes    int64
	// Branches are the peers of a transfer to several that has succeeded as a whole.
	Branches []Branch
}

// Branch is how the transfer to one of several peers has ended.
type Branch struct {
	Peer string // its label in messages
	Err  error
}

// Missed says which of several peers do not have all, as in "2 of 3: cloud failed: timeout
// (11)". It is "" if all have.
func (f Facts) Missed() string {
	var failed []string
	for _, b := range f.Branches {
		if b.Err != nil {
			code := proto.CodeOf(b.Err)
			failed = append(failed, fmt.Sprintf("%s failed: %s (%d)", b.Peer, code, code))
		}
	}
	if failed == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d: %s", len(f.Branches)-len(failed), len(f.Branches), strings.Join(failed, ", "))
}

// FactsOf returns the facts of the last transfer of a node; none for nil.
func FactsOf(n *node.Node) Facts {
	if n == nil {
		return Facts{}
	}
	f := n.Facts()
	return Facts{Peer: f.Peer, Transfer: f.Transfer, Bytes: f.Bytes}
}

// The pause between two tries is a random part of a time that doubles. So the machines
// that a failed peer has cut off do not come back to it all at once.
const (
	firstPause = 5 * time.Second
	mostPause  = 5 * time.Minute
)

// Run calls once, which makes one transfer and says what is known of it. With --job it
// holds the lock of the job meanwhile, and keeps its state. With --retry-for it calls once
// again while the error is one of a class that a repeat can mend. It returns the last
// error, after it has told of that as [notify] in the settings says. Without all these it
// calls once, and does nothing else.
func (o Options) Run(ctx context.Context, s cmdline.Streams, once func(context.Context, Try) (Facts, error)) error {
	if o.Metrics != "" && o.Job == "" {
		return errNoJob
	}
	r := &run{Options: o, streams: s, once: once, begun: time.Now(), log: s.Logger(o.Verbose)}
	if err := r.openNotifier(); err != nil {
		return err
	}
	if !o.Used() && r.notifier == nil {
		_, err := once(ctx, Try{N: 1})
		return r.close(err)
	}
	err := r.begin(ctx)
	if err == nil {
		stop := r.notifier.Begin(ctx, o.Job)
		err = r.close(r.try(ctx))
		stop()
	}
	r.end(err)
	r.tell(ctx, err)
	return err
}

// run is one [Options.Run].
type run struct {
	Options
	streams cmdline.Streams
	once    func(context.Context, Try) (Facts, error)
	log     *slog.Logger

	begun time.Time
	lock  *job.Lock // nil without a job, and while another run has it
	state job.State // the zero State without a lock
	facts Facts     // of the last try
	tries int

	notifier *notify.Notifier // nil if nothing is to be told
}

// begin takes the lock of the job, and writes that a run has begun.
func (r *run) begin(ctx context.Context) (err error) {
	if r.Job == "" {
		return nil
	}
	if r.State == "" {
		if r.State, err = cmdline.Home(); err != nil {
			return err
		}
	}
	if r.lock, err = job.Acquire(ctx, r.State, r.Job, r.Wait); err != nil {
		return err
	}
	before, err := r.lock.State()
	if err != nil {
		r.lock.Release()
		r.lock = nil
		return fmt.Errorf("job %s: %w", r.Job, err)
	}
	if before.Killed() {
		r.streams.Warn(fmt.Errorf("job %s: the run of %s did not end by itself: it was killed, or the machine went down", r.Job, before.Begun.Local().Format(time.DateTime)))
	}
	r.state = before.Begin(r.Job, time.Now())
	r.save()
	return nil
}

// save writes the state. The transfer matters more than what is known of it, so a failure
// is only a warning.
func (r *run) save() {
	if err := r.lock.Save(r.state); err != nil {
		r.streams.Warn(fmt.Errorf("job %s: how it goes is not remembered: %w", r.Job, err))
	}
}

// try calls once until that succeeds, fails for good, or has no time left.
func (r *run) try(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		r.tries++
		var err error
		r.facts, err = r.once(ctx, Try{r.tries, r.Job})
		err = cmdline.Cause(ctx, err)
		wait := rand.N(pause)
		if ctx.Err() != nil || !mayHelp(err) || time.Since(r.begun)+wait > r.RetryFor {
			return r.told(err)
		}
		r.announce(err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%w; the last try: %w", context.Cause(ctx), err)
		}
	}
}

// close closes what the tries have shared.
func (r *run) close(err error) error {
	if r.Close == nil {
		return err
	}
	return r.Close(err)
}

// mayHelp reports whether a repeat may mend an error: the peer, or the way to it, was the
// cause.
func mayHelp(err error) bool {
	switch proto.CodeOf(err) {
	case proto.Unreachable, proto.Timeout, proto.Truncated, proto.Busy:
		return !errors.Is(err, job.ErrRunning)
	}
	return false
}

// told adds to the last error how often the transfer was tried.
func (r *run) told(err error) error {
	if err == nil || r.tries == 1 {
		return err
	}
	return fmt.Errorf("%w, after %d tries in %s", err, r.tries, cmdline.ShortDuration(time.Since(r.begun)))
}

// announce says that a try has failed and when the next one is: to a person, or to the log.
func (r *run) announce(err error, wait time.Duration) {
	if term.IsTerminal(r.streams.Err) {
		r.streams.Warn(fmt.Errorf("try %d: %w; the next one is in %s", r.tries, err, cmdline.ShortDuration(wait)))
		return
	}
	r.log.Info("a try has failed", "try", r.tries, "err", err, "pause", wait.Round(time.Millisecond))
}

// end reports how the run has ended, and lets the next one begin. A run that another one
// has kept out leaves the state to that.
func (r *run) end(err error) {
	if r.lock == nil {
		return
	}
	defer r.lock.Release()
	r.state.Peer, r.state.Bytes, r.state.Tries = r.facts.Peer, r.facts.Bytes, r.tries
	r.state = r.state.End(time.Now(), time.Since(r.begun), err)
	r.save()
	if r.Metrics != "" {
		if err := writeMetrics(r.Metrics, r.state); err != nil {
			r.streams.Warn(fmt.Errorf("job %s: its metrics are those of an older run: %w", r.Job, err))
		}
	}
}
