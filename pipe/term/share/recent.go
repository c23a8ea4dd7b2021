package share

import (
	"context"
	"slices"
	"sync"
	"time"
)

// recentTime is how long somebody counts as typing.
const recentTime = 5 * time.Second

// recent knows who typed lately.
type recent struct {
	mu   sync.Mutex // a leaf
	list []lately
}

type lately struct {
	by *typist
	at time.Time
}

// note takes note that t types, and reports whether that is new.
func (r *recent) note(t *typist, now time.Time) bool {
	if t.local {
		return false // the sharer always may
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if r.list[i].by == t {
			isNew := now.Sub(r.list[i].at) >= recentTime
			r.list[i].at = now
			return isNew
		}
	}
	r.list = append(r.list, lately{t, now})
	return true
}

// names returns who typed lately, without those who did long ago.
func (r *recent) names(now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(l lately) bool { return now.Sub(l.at) >= recentTime })
	var out []string
	for _, l := range r.list {
		out = append(out, l.by.label)
	}
	return out
}

// Watch tells who is there again when somebody does not type any more, or what else
// there is to know has changed. It blocks until ctx ends.
func (s *Session) Watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before Status
	told := s.o.Gap == nil
	for {
		select {
		case now := <-tick.C:
			s.o.Audit.flush(now)
			st := s.status(now)
			if len(st.Writers) < len(before.Writers) || st.Smaller != before.Smaller || st.Gap != before.Gap {
				s.changed()
			}
			before = st
			if err := s.Recorded(); err != nil && !told {
				s.o.Gap(err)
				told = true
			}
		case <-ctx.Done():
			return
		}
	}
}
