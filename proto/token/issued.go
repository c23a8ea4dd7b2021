package token

import (
	"fmt"
	"sync"
	"time"

	"mesh/proto/identity"
)

// issuedTokens holds the session tokens that this process has issued and that
// have not expired. A token whose uses are all taken stays until it expires,
// since the nodes that took them may come back: the answer to their P2P_HELLO
// may have been lost, or the listener was busy. The zero value is empty.
type issuedTokens struct {
	mu   sync.Mutex
	byID map[ID]*issuedToken
	// sweepAt is the number of tokens at which add drops the expired ones. It is
	// twice the number that the last sweep left, so that the cost of a sweep is
	// spread over as many calls of add as there are tokens to look at.
	sweepAt int
}

// issuedToken is a session token and the nodes that have claimed it.
type issuedToken struct {
	token  Token
	claims []identity.ID
}

// minSweep keeps a registry with a few tokens from sweeping all the time.
const minSweep = 64

func (s *issuedTokens) add(t Token, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID, s.sweepAt = make(map[ID]*issuedToken), minSweep
	}
	if len(s.byID) >= s.sweepAt {
		for id, old := range s.byID {
			if old.token.Expired(now) {
				delete(s.byID, id)
			}
		}
		s.sweepAt = max(minSweep, 2*len(s.byID))
	}
	s.byID[t.ID] = &issuedToken{token: t}
}

// find returns the token with the given id, unless it has expired: then find
// forgets it.
func (s *issuedTokens) find(id ID, now time.Time) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.byID[id]
	if i == nil {
		return Token{}, false
	}
	if i.token.Expired(now) {
		delete(s.byID, id)
		return Token{}, false
	}
	return i.token, true
}

// claim checks that dialer may use the token, and with count, counts it as a user.
func (s *issuedTokens) claim(id ID, dialer identity.ID, count bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.byID[id]
	if i == nil {
		return fmt.Errorf("%w: the token has expired or was cancelled", errDenied)
	}
	claims, err := addClaim(i.claims, dialer, i.token.Uses)
	if count {
		i.claims = claims
	}
	return err
}

func (s *issuedTokens) remove(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}
