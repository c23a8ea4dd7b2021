package notify

import (
	"maps"
	"slices"
	"time"

	"mesh/proto"
)

// subject is what is remembered of a job or a peer that fails. The zero value is one that
// works.
type subject struct {
	Since    time.Time  `json:"since"` // the first failure
	Failures int        `json:"failures"`
	Code     proto.Code `json:"code"` // of the failure that was told
	Told     time.Time  `json:"told"`
}

// verdict says what is to be told of an end.
type verdict struct {
	tell, works bool
	failures    int     // with this one
	before      subject // with works
}

// end returns what is to be told of an end with a code, and changes the subject.
func (s *subject) end(code proto.Code, now time.Time, repeat time.Duration) (v verdict) {
	if code < failureCode {
		v.works, v.before = code == proto.OK && !s.Told.IsZero(), *s
		v.tell = v.works
		if code == proto.OK {
			*s = subject{}
		}
		return v
	}
	if s.Failures == 0 || s.Since.After(now) { // the clock was set back
		s.Since = now
	}
	s.Failures++
	v.failures = s.Failures
	silent := now.Sub(s.Told)
	if v.tell = s.Told.IsZero() || !sameFailure(s.Code, code) || silent >= repeat || silent < 0; v.tell {
		s.Code, s.Told = code, now
	}
	return v
}

// sameFailure reports whether two codes ask the same of a person. A bad network causes
// several codes of one class in turn.
func sameFailure(a, b proto.Code) bool {
	return a == b || a < firstSignal && b < firstSignal && a/10 == b/10
}

// judge says what is to be told of an end, and remembers it. A daemon remembers in memory:
// see remember.
func (n *Notifier) judge(m Message, s Settings) (v verdict) {
	now := time.Now()
	if m.Subject == "" {
		return verdict{tell: true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told == nil {
		if _, fails := n.spool.readState().Subjects[m.Subject]; !fails && *m.Code < failureCode {
			return v // as most runs end: nothing to write
		}
		err := n.spool.editState(func(st *state) { v = st.end(m.Subject, *m.Code, now, s.Repeat) })
		if err != nil { // told again rather than not at all
			n.log.Warn("what was told cannot be remembered", "err", err)
			v.tell = true
		}
		return v
	}
	one := n.told[m.Subject]
	v = one.end(*m.Code, now, s.Repeat)
	setSubject(n.told, m.Subject, one)
	return v
}

// remember puts on the disk what a daemon has told of a subject. What it does not tell
// stays in memory: peers decide how many ends there are.
func (n *Notifier) remember(name string) {
	n.mu.Lock()
	one, daemon := n.told[name], n.told != nil
	n.mu.Unlock()
	if !daemon || name == "" {
		return
	}
	if err := n.spool.editState(func(st *state) { setSubject(st.Subjects, name, one) }); err != nil {
		n.log.Warn("what was told cannot be remembered", "err", err)
	}
}

// state is the file state in the folder.
type state struct {
	Subjects map[string]subject `json:"subjects"`
	Dropped  map[string]int     `json:"dropped"`  // by channel: what the next message has to say
	Attempts map[string]outcome `json:"attempts"` // by channel
}

// outcome is what came of the last attempts at a channel.
type outcome struct {
	Sent   time.Time `json:"sent,omitzero"`   // the last message that got through
	Failed time.Time `json:"failed,omitzero"` // the last attempt, if it failed
	Error  string    `json:"error,omitempty"` // of that
}

func (st *state) end(name string, code proto.Code, now time.Time, repeat time.Duration) verdict {
	one := st.Subjects[name]
	v := one.end(code, now, repeat)
	setSubject(st.Subjects, name, one)
	return v
}

// maxSubjects bounds how many failing jobs and peers are remembered.
const maxSubjects = 1000

// setSubject sets the subject of that name. When there are too many, the one that was
// told of the longest time ago is forgotten.
func setSubject(all map[string]subject, name string, s subject) {
	if s == (subject{}) {
		delete(all, name)
		return
	}
	if _, known := all[name]; !known && len(all) >= maxSubjects {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b string) int { return all[a].Told.Compare(all[b].Told) })
		delete(all, oldest)
	}
	all[name] = s
}
