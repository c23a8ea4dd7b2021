// Package silence is a dead man's switch: it tells a person when something that is
// expected again and again has not come, and when it has come after all. It watches what
// peers deliver to an inbox, and the jobs of this machine. The receiver must do that: a
// backup that never ran sends nothing, not even an error.
package silence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/statefile"
	"mesh/tools/job"
	"mesh/tools/notify"
)

// File is the name of the file in the state folder with the last arrivals.
const File = "arrivals"

const (
	maxFileBytes = 1 << 20
	// lookEvery is how often the alarm looks. Between two looks that are further apart
	// than slept, this machine has slept, or its clock was set.
	lookEvery = time.Minute
	slept     = 3 * lookEvery
	// graceTime is what senders have after a start or a sleep of this machine, to come
	// back before they are missed.
	graceTime = 10 * time.Minute
	// saveEvery bounds how wrong the beginning of a time is that this machine was down.
	saveEvery = 15 * time.Minute
	// minRepeat is the shortest time between two alarms about the same.
	minRepeat = time.Hour
)

// The kinds of what is watched.
const (
	Peer = "peer"
	Job  = "job"
)

// Watch is what is expected.
type Watch struct {
	Kind, Name string
	// Expect is the longest time between two arrivals, or two successes of a job.
	Expect time.Duration
	// Pattern is what the name of a stored file must match, as [path.Match] has it; "" for
	// any delivery.
	Pattern string
}

func (w Watch) key() string { return w.Kind + "/" + w.Name }

// matches reports whether a delivery of these files is one that is expected.
func (w Watch) matches(files []string) bool {
	return w.Pattern == "" || slices.ContainsFunc(files, func(name string) bool {
		whole, _ := path.Match(w.Pattern, name)
		base, _ := path.Match(w.Pattern, path.Base(name))
		return whole || base
	})
}

// CheckPattern returns what is wrong with a pattern.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return proto.Errorf(proto.Usage, "want a pattern like db-*")
	}
	return nil
}

// Expected is what is known of a [Watch].
type Expected struct {
	Kind    string        `json:"kind"`
	Name    string        `json:"name"`
	Expect  time.Duration `json:"expect"` // nanoseconds
	Since   time.Time     `json:"since"`  // watched from then on
	Last    time.Time     `json:"last"`   // the last good arrival; zero for none
	Overdue bool          `json:"overdue"`
	Told    time.Time     `json:"told"` // the last alarm
}

// latest returns from when on the silence counts.
func (e Expected) latest() time.Time {
	if e.Last.After(e.Since) {
		return e.Last
	}
	return e.Since
}

// clamp moves times that are in the future to now: the clock was set back.
func (e *Expected) clamp(now time.Time) {
	for _, t := range []*time.Time{&e.Since, &e.Last, &e.Told} {
		if t.After(now) {
			*t = now
		}
	}
}

// state is the file [File].
type state struct {
	Alive    time.Time           `json:"alive"` // when the alarm looked the last time
	Expected map[string]Expected `json:"expected"`
}

// Read returns what is expected, as the daemon of a state folder saw it, in the order of
// the names.
func Read(dir string) ([]Expected, error) {
	st, err := load(dir)
	var all []Expected
	for _, e := range st.Expected {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Expected) int { return strings.Compare(a.Kind+a.Name, b.Kind+b.Name) })
	return all, err
}

// load reads the file. One that cannot be understood is as none.
func load(dir string) (st state, err error) {
	text, err := statefile.Read(filepath.Join(dir, File), maxFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if len(text) > 0 && json.Unmarshal(text, &st) != nil {
		st = state{}
	}
	if st.Expected == nil {
		st.Expected = make(map[string]Expected)
	}
	return st, err
}

// Alarm watches.
type Alarm struct {
	dir    string
	tell   func(notify.Message)
	repeat func() time.Duration
	warn   func(error)

	mu      sync.Mutex // guards what follows
	watches []Watch
	state   state
	looked  time.Time // zero before the first look
	saved   time.Time
	grace   time.Time // no alarm before
	down    [2]time.Time
}

// New returns an alarm that gives its messages to tell, which must not block for long. The
// same silence is told again after what repeat returns. warn gets what cannot be
// remembered.
func New(dir string, watches []Watch, tell func(notify.Message), repeat func() time.Duration, warn func(error)) *Alarm {
	a := &Alarm{dir: dir, tell: tell, repeat: repeat, warn: warn, watches: watches}
	var err error
	if a.state, err = load(dir); err != nil {
		warn(fmt.Errorf("the last arrivals cannot be read: %w", err))
	}
	return a
}

// Set replaces what is expected.
func (a *Alarm) Set(watches []Watch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watches = watches
}

// Run looks each minute, until ctx ends.
func (a *Alarm) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		a.look(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.watches) > 0 {
				a.state.Alive = time.Now().Round(0)
				a.saveLocked()
			}
			return
		}
	}
}

// look tells what is overdue.
func (a *Alarm) look(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.watches) == 0 && len(a.state.Expected) == 0 {
		a.looked = now
		return
	}
	a.noteGap(now)
	a.state.Alive = now.Round(0)
	others, _ := load(a.dir) // of another inbox with the same state folder
	known := len(a.state.Expected)
	expected := make(map[string]Expected)
	told := false
	for _, w := range a.watches {
		e, watched := a.state.Expected[w.key()]
		if !watched {
			e.Since = now.Round(0)
		}
		e.Kind, e.Name, e.Expect = w.Kind, w.Name, w.Expect
		e.clamp(now)
		told = a.lookAt(w, &e, others.Expected[w.key()].Last, now) || told
		expected[w.key()] = e
	}
	a.state.Expected = expected
	if age := now.Sub(a.saved); told || known != len(expected) || age >= saveEvery || age < 0 {
		a.saveLocked()
		a.saved = now
	}
}

// noteGap notes a time without a look: this process was not there, or the machine has
// slept.
func (a *Alarm) noteGap(now time.Time) {
	before, gap := a.looked, now.Round(0).Sub(a.looked.Round(0)) // by the wall clock: the other one stops while a machine sleeps
	if a.looked = now; before.IsZero() {
		before, gap = a.state.Alive, now.Sub(a.state.Alive)
		if before.IsZero() {
			return // the first start
		}
	} else if gap >= 0 && gap <= slept {
		return
	}
	a.grace = now.Add(graceTime)
	if gap > slept {
		a.down = [2]time.Time{before, now}
	}
}

// lookAt looks at one watch, of which another process may have seen an arrival.
func (a *Alarm) lookAt(w Watch, e *Expected, arrival, now time.Time) (told bool) {
	if w.Kind == Job {
		if s, found, err := job.Load(a.dir, w.Name); err == nil && found {
			arrival = s.LastSuccess
		}
	}
	if arrival.After(e.Last) && !arrival.After(now) {
		told = a.arrivedLocked(e, arrival)
	}
	silent := now.Sub(e.latest())
	if silent <= w.Expect || now.Before(a.grace) {
		return told
	}
	if e.Overdue && now.Sub(e.Told) < max(a.repeat(), minRepeat) {
		return told
	}
	e.Overdue, e.Told = true, now.Round(0)
	a.tell(a.overdue(*e, silent))
	return true
}

// Arrived notes a delivery that has arrived whole, from a peer of these names, and the
// files that were stored of it.
func (a *Alarm) Arrived(names, files []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	noted := false
	for _, w := range a.watches {
		if w.Kind != Peer || !slices.Contains(names, w.Name) || !w.matches(files) {
			continue
		}
		e := a.state.Expected[w.key()]
		if e.Since.IsZero() {
			e.Since = now.Round(0)
		}
		e.Kind, e.Name, e.Expect = w.Kind, w.Name, w.Expect
		a.arrivedLocked(&e, now.Round(0))
		a.state.Expected[w.key()] = e
		noted = true
	}
	if noted {
		a.saveLocked()
	}
}

// arrivedLocked notes an arrival, and tells it if it was overdue.
func (a *Alarm) arrivedLocked(e *Expected, at time.Time) (told bool) {
	silent := at.Sub(e.latest())
	e.Last = at
	if !e.Overdue {
		return false
	}
	e.Overdue, e.Told = false, time.Time{}
	what, nameless := e.what()
	after := " came after " + notify.Spell(silent)
	a.tell(notify.Message{
		Event: notify.EventSilence, Kind: notify.Came, Job: e.job(), PeerName: e.peer(),
		Words: what + after, Says: what + after + " of silence.", NamelessWords: nameless + after, NamelessSays: nameless + after + " of silence.",
	})
	return true
}

// overdue returns the alarm.
func (a *Alarm) overdue(e Expected, silent time.Duration) notify.Message {
	what, nameless := e.what()
	words := func(of string) string { return "nothing from " + of + " for " + notify.Spell(silent) }
	says := "It is expected every " + notify.Spell(e.Expect) + "."
	if e.Last.IsZero() {
		says += " Nothing has come since " + notify.At(e.Since) + ", when that was set."
	} else {
		says += " The last one came " + notify.At(e.Last) + "."
	}
	if a.down[1].After(e.latest()) {
		says += "\nThis machine was itself down from " + notify.At(a.down[0]) + " to " + notify.At(a.down[1]) + "."
	}
	return notify.Message{
		Event: notify.EventSilence, Kind: notify.Overdue, Job: e.job(), PeerName: e.peer(),
		Words: words(what), Says: says, NamelessWords: words(nameless), NamelessSays: says,
	}
}

// what names what is expected, and without the name of a peer.
func (e Expected) what() (what, nameless string) {
	if e.Kind == Job {
		return "job " + e.Name, "job " + e.Name
	}
	return e.Name, "a peer"
}

func (e Expected) job() string {
	if e.Kind == Job {
		return e.Name
	}
	return ""
}

func (e Expected) peer() string {
	if e.Kind == Peer {
		return e.Name
	}
	return ""
}

func (a *Alarm) saveLocked() {
	text, err := json.Marshal(a.state)
	if err == nil {
		err = statefile.Write(filepath.Join(a.dir, File), text, 0o600)
	}
	if err != nil {
		a.warn(fmt.Errorf("the last arrivals are not remembered: %w", err))
	}
}
