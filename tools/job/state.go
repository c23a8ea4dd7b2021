package job

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/statefile"
)

// maxStateBytes bounds the file of a state. maxError bounds the error in it.
const (
	maxStateBytes = 64 << 10
	maxError      = 4 << 10
)

// State is what is known of a job: of its last run, and of the runs before it.
type State struct {
	Name string `json:"name"`
	// Begun and Ended are of the last run. Ended is zero while it goes on, and for a run
	// that was killed.
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"`
	// Code and Error say how it ended; Error is "" for a success.
	Code  int    `json:"code"`
	Error string `json:"error,omitempty"`
	// Peer is the label of the last peer, Bytes is what the last try has moved. Seconds is
	// the time of the run by a clock that nobody sets.
	Peer    string  `json:"peer,omitempty"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Tries   int     `json:"tries"`
	// LastSuccess is when a run has last ended with 0. Failures counts the runs since then,
	// and FirstFailure is when the first of them ended, or began if it was killed.
	LastSuccess  time.Time `json:"last_success,omitzero"`
	FirstFailure time.Time `json:"first_failure,omitzero"`
	Failures     int       `json:"failures"`

	// Running and PID are not in the file: whether a run has the lock, and its process.
	Running bool `json:"-"`
	PID     int  `json:"-"`
}

// Killed reports whether the last run neither ended nor goes on: its process was killed,
// or the machine went down.
func (s State) Killed() bool { return !s.Begun.IsZero() && s.Ended.IsZero() && !s.Running }

// Begin returns the state of a run that begins now. If the run before was killed, that
// counts as a failure.
func (s State) Begin(name string, now time.Time) State {
	if s.Killed() {
		s = s.fail(s.Begun)
	}
	return State{Name: name, Begun: now.UTC(), LastSuccess: s.LastSuccess, FirstFailure: s.FirstFailure, Failures: s.Failures}
}

// End returns the state of a run that ends now, with err. It took so long.
func (s State) End(now time.Time, took time.Duration, err error) State {
	now = now.UTC()
	s.Ended, s.Seconds, s.Code = now, took.Seconds(), int(proto.CodeOf(err))
	if err == nil {
		s.LastSuccess, s.FirstFailure, s.Failures = now, time.Time{}, 0
		return s
	}
	s.Error = proto.HideSecrets(err.Error())
	if len(s.Error) > maxError {
		s.Error = strings.ToValidUTF8(s.Error[:maxError], "")
	}
	return s.fail(now)
}

func (s State) fail(at time.Time) State {
	if s.Failures++; s.FirstFailure.IsZero() {
		s.FirstFailure = at
	}
	return s
}

// Load returns the state of a job in the state folder dir. A state that is not whole, or
// not that of the job, is absent.
func Load(dir, name string) (s State, found bool, err error) {
	if s, found, err = read(dir, name); found {
		s.Running, s.PID = running(dir, name)
	}
	return s, found, err
}

// read is Load without a look at the lock.
func read(dir, name string) (State, bool, error) {
	text, err := statefile.Read(path(dir, name, stateSuffix), maxStateBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, err
	}
	var s State
	if json.Unmarshal(text, &s) != nil || s.Name != name || s.Begun.IsZero() || s.Failures < 0 {
		return State{}, false, nil
	}
	return s, true, nil
}

// List returns the states of all jobs in the state folder dir, sorted by name.
func List(dir string) (states []State, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, statefile.Failed(err)
	}
	for _, e := range entries { // sorted
		name, is := strings.CutSuffix(e.Name(), stateSuffix)
		if !is || CheckName(name) != nil {
			continue
		}
		s, found, err := Load(dir, name)
		if err != nil {
			return nil, err
		}
		if found {
			states = append(states, s)
		}
	}
	return states, nil
}

// Save replaces the state of the job that l locks.
func (l *Lock) Save(s State) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return statefile.Failed(statefile.Write(path(l.dir, l.name, stateSuffix), append(text, '\n'), 0o600))
}

// State returns the state of the run before; the zero State if there is none.
func (l *Lock) State() (State, error) {
	s, _, err := read(l.dir, l.name)
	return s, err
}
