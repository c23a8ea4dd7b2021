package node

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/pipe/progress"
	"mesh/pipe/term"
)

// progressEvery is the time between two progress events.
const progressEvery = time.Second

// reporter reports what happens: to scripts as events, to people on standard error.
type reporter struct {
	name     string
	stderr   io.Writer
	receipts bool
	progress bool
	ansi     bool
	hidden   atomic.Bool  // the progress line is not drawn now
	awaited  atomic.Int64 // nanoseconds that a person was asked for

	mu     sync.Mutex
	events io.WriteCloser // nil without --events
	log    *slog.Logger   // nil if events are not logged
	err    error          // the first of writing events
	facts  Facts
}

func newReporter(o Options) *reporter {
	return &reporter{name: o.Name, stderr: o.Stderr, receipts: o.Receipts, progress: o.Progress, ansi: o.ANSI, events: o.Events, log: o.EventLog}
}

// await is [Node.Await].
func (r *reporter) await() (answered func()) {
	r.hidden.Store(true)
	r.awaited.Store(0)
	begun := time.Now()
	return func() {
		r.awaited.Store(int64(time.Since(begun)))
		r.hidden.Store(false)
	}
}

// watch reports the progress of a transfer until the returned function is called. With a
// nil party there are no events.
func (r *reporter) watch(party func() Party, counters *pipe.Counters, on screen, o *outage) (stop func()) {
	draws := r.progress && !on.typed && !on.silent
	if (r.events == nil || party == nil) && !draws {
		return func() {}
	}
	quit := make(chan struct{}) // closed by stop
	var wg sync.WaitGroup
	wg.Go(func() {
		redraw, tick := time.NewTicker(progress.Interval), time.NewTicker(progressEvery)
		defer redraw.Stop()
		defer tick.Stop()
		line := progress.New(r.stderr, r.ansi)
		defer func() {
			if draws && r.foreground() {
				line.Clear()
			}
		}()
		var done, moved progress.Meter // the work that is done, and the bytes of the link
		for {
			sent, received := counters.Sent.Load(), counters.Received.Load()
			state := on.state(sent, received)
			done.Add(time.Now(), state.Bytes)
			moved.Add(time.Now(), sent+received)
			state.Rate = moved.Rate()
			if left, known := done.Left(state.Total - state.Bytes); known {
				state.Left = left
			}
			select {
			case <-redraw.C:
				if draws && !r.hidden.Load() && (!on.shown || received == 0) && r.foreground() {
					draw(line, state, o)
				}
			case <-tick.C:
				if party == nil {
					continue
				}
				e := partyEvent("progress", party())
				e.Sent, e.Received = &sent, &received
				e.setWork(state)
				r.emit(e)
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}

// draw draws the progress line.
func draw(line *progress.Line, state progress.State, o *outage) {
	if since, broken := o.length(); broken {
		line.Broken(since)
		return
	}
	line.Set(state)
}

// foreground reports whether this process may draw on the terminal: a job in the
// background would draw over what the user types.
func (r *reporter) foreground() bool {
	f, ok := r.stderr.(*os.File)
	return ok && term.Foreground(f)
}

// result reports the receipts of both directions.
func (r *reporter) result(p Party, result pipe.Result) {
	r.receipt(p, sent, result.Sent, nil)
	r.receipt(p, received, result.Received, nil)
}

// direction is the way of a transfer, as receipts say it.
type direction struct{ verb, preposition string }

var (
	sent     = direction{"sent", "to"}
	received = direction{"received", "from"}
)

// receipt reports one direction; sum is nil if it was no transfer of files. A nil
// receipt is not reported.
func (r *reporter) receipt(p Party, d direction, receipt *pipe.Receipt, sum *files.Summary) {
	if receipt == nil {
		return
	}
	p.Via = receipt.Via
	if receipt.Path != "" { // none from a daemon of an older version
		p.Path = receipt.Path
	}
	e := partyEvent("receipt", p)
	e.Direction, e.Flows, e.MaxBPS, e.Paths = d.verb, receipt.Flows, receipt.MaxBPS, receipt.Paths
	took := max(receipt.Elapsed-time.Duration(r.awaited.Load()), 0)
	e.Bytes, e.BLAKE3, e.Status, e.Seconds = &receipt.Bytes, &receipt.Digest, &receipt.Status, took.Seconds()
	stored, bytes := "", receipt.Bytes
	if sum != nil {
		e.Files, e.Skipped, e.Excluded = &sum.Files, &sum.Skipped, sum.Excluded
		stored, bytes = storedWords(sum), sum.Bytes
		r.noteBytes(bytes)
	}
	r.emit(e)
	if r.receipts {
		fmt.Fprintf(r.stderr, "%s: %s %s%s %s %s in %s, blake3 %s\n",
			r.name, d.verb, stored, progress.Bytes(bytes), d.preposition, p.Label(), course(p, receipt, bytes, took), receipt.Digest)
	}
}

// course says how long a transfer took, how fast it was, and over what it ran.
func course(p Party, receipt *pipe.Receipt, bytes int64, took time.Duration) string {
	seconds := took.Seconds()
	words := fmt.Sprintf("%.1f s", seconds)
	if seconds >= 0.1 { // in less time the clock is too coarse for a rate
		words += fmt.Sprintf(", %s/s", progress.Bytes(int64(float64(bytes)/seconds)))
	}
	words += ", " + p.Path
	words += AtMost(receipt.MaxBPS)
	if words += before(p.Path, receipt.Paths); receipt.Flows > 1 {
		words += fmt.Sprintf(" with %d flows", receipt.Flows)
	}
	if p.met {
		words += ", trust=" + string(p.Trust)
	}
	return words
}

// AtMost returns " (at most 10 MB/s)" for the limit of a relay in bytes per second, and ""
// for 0.
func AtMost(limit uint64) string {
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf(" (at most %s/s)", progress.Bytes(int64(min(limit, math.MaxInt64))))
}

// before says how many bytes took other paths than the last one.
func before(last string, paths []pipe.PathBytes) (words string) {
	for _, other := range paths {
		switch {
		case other.Path == last:
			continue
		case words == "":
			words = " after "
		default:
			words += ", "
		}
		words += fmt.Sprintf("%s over %s", progress.Bytes(other.Bytes), other.Path)
	}
	return words
}

// storedWords says how many files were stored, how many more the receiver had already,
// and how many entries were left out.
func storedWords(sum *files.Summary) string {
	words := fmt.Sprintf("%d files", sum.Files)
	if sum.Files == 1 {
		words = "1 file"
	}
	var more []string
	if sum.Skipped > 0 {
		more = append(more, fmt.Sprintf("%d more already there", sum.Skipped))
	}
	if sum.Excluded > 0 {
		more = append(more, fmt.Sprintf("%d excluded", sum.Excluded))
	}
	if more != nil {
		words += " (" + strings.Join(more, ", ") + ")"
	}
	return words + ", "
}
