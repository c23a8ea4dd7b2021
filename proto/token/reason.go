package token

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Reason is why this process has issued a session token to a node.
type Reason struct {
	// What is for the log.
	What string
	// Gone returns an error with code [proto.Denied] once the reason is gone, and nil
	// while that is not known. It is called each second for each link, and must not call
	// the Registry's methods that issue tokens. nil stands for a reason that stays.
	Gone func() error
}

const (
	// maxReasons bounds the reasons that are kept.
	maxReasons = 16384
	// forgetReason is how long after it was last asked for a reason is forgotten, if there
	// are too many: no link that was broken for so long is resumed.
	forgetReason = 7 * 24 * time.Hour
)

// reasons holds why session tokens were issued. A reason outlives its token: the links that
// it admitted, and their resumes, end with it. The zero value is empty.
type reasons struct {
	mu   sync.Mutex
	byID map[ID]*keptReason
}

type keptReason struct {
	Reason
	asked time.Time
}

// Because notes why a session token was issued. From then on it admits a node, and its links
// go on, only while the reason is not gone. The caller has just issued the token and shown it
// to nobody. An error says that there is no place for one more reason.
func (r *Registry) Because(id ID, why Reason) error {
	if why.Gone == nil {
		why.Gone = func() error { return nil }
	}
	s, now := &r.reasons, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = make(map[ID]*keptReason)
	}
	if len(s.byID) >= maxReasons {
		for id, old := range s.byID {
			if now.Sub(old.asked) > forgetReason {
				delete(s.byID, id)
			}
		}
	}
	if len(s.byID) >= maxReasons {
		return errors.New("too many tokens with a reason")
	}
	s.byID[id] = &keptReason{why, now}
	return nil
}

// checkReason returns an error if the token had a reason that is gone.
func (r *Registry) checkReason(id ID) error {
	s := &r.reasons
	s.mu.Lock()
	why := s.byID[id]
	if why != nil {
		why.asked = time.Now()
	}
	s.mu.Unlock()
	if why == nil {
		return nil
	}
	if err := why.Gone(); err != nil {
		return fmt.Errorf("%s: %w", why.What, err)
	}
	return nil
}
