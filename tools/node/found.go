package node

import (
	"context"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/token"
)

const (
	// askAgainAfter is how long a dialer whose link has broken tries what it knows before it
	// asks the hubs where the listener is now, askAgainTime how long they have to answer, and
	// askAgainPause the time between two such questions.
	askAgainAfter = 500 * time.Millisecond
	askAgainTime  = 10 * time.Second
	askAgainPause = 2 * time.Second
)

// found is what a dialer knows of the ways to its peer, beside the addresses that it was
// given.
type found struct {
	foundMu    sync.Mutex
	candidates []candidate.Candidate
	relay      *access     // nil for none
	peer       identity.ID // of the transfer; zero before it begins
	resume     token.Credential
	asking     chan struct{} // closed when the hubs have answered; nil while none is asked
	asked      time.Time
}

// ways are the routes for one dial, which may arrive while it runs.
type ways struct {
	candidates chan candidate.Candidate
	routes     chan path.Route
}

func newWays() *ways {
	return &ways{make(chan candidate.Candidate, 2*hub.MaxCandidates), make(chan path.Route, 2)}
}

// of returns the target with the ways.
func (w *ways) of(t link.Target) link.Target {
	t.Candidates, t.Routes = w.candidates, w.routes
	return t
}

func (w *ways) close() {
	close(w.candidates)
	close(w.routes)
}

// learn notes what the hubs have answered.
func (m *meeting) learn(a answer) {
	list := m.dialable(a.session)
	var via *access
	if _, relayed := m.target.Via.Reaches(); relayed {
		if _, relayed = peerVia(a.session).Reaches(); relayed {
			via = m.node.newAccess(a.session.Relays, a.hub, a.session.Peer)
		}
	}
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	m.candidates, m.relay = list, via
}

// tell sends the ways that are known. It reports whether there are any, and is called at most
// twice for the ways of one dial.
func (m *meeting) tell(w *ways) bool {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	for _, c := range m.candidates {
		w.candidates <- c
	}
	if m.relay != nil {
		w.routes <- m.relay.route()
	}
	return len(m.candidates) > 0 || m.relay != nil
}

// linked notes the link that has begun the transfer.
func (m *meeting) linked(l *link.Link) {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	m.found.peer, m.resume = l.Peer, l.Credential()
}

// Relayed implements [link.Meeting].
func (m *meeting) Relayed() bool {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	return m.relay != nil
}

// Routes implements [link.Meeting]. What is known is tried at once; if it leads nowhere soon,
// the hubs are asked again.
func (m *meeting) Routes(ctx context.Context) (<-chan candidate.Candidate, <-chan path.Route) {
	w := newWays()
	m.tell(w)
	wait := askAgainAfter
	m.foundMu.Lock()
	if m.relay != nil && m.relay.refused.Load() {
		wait = 0
	}
	m.foundMu.Unlock()
	go func() {
		defer w.close()
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		asked := m.askAgain()
		if asked == nil {
			return
		}
		select {
		case <-asked:
			if ctx.Err() == nil {
				m.tell(w)
			}
		case <-ctx.Done():
		}
	}()
	return w.candidates, w.routes
}

// Better implements [link.Meeting].
func (m *meeting) Better(context.Context) (<-chan candidate.Candidate, <-chan path.Route) {
	w := newWays()
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	for _, c := range m.candidates {
		w.candidates <- c
	}
	w.close()
	return w.candidates, w.routes
}

// askAgain begins to ask the hubs where the listener of the transfer is now, unless they are
// asked already. The channel is closed once what they have answered is known; it is nil if
// there is nothing to ask, or it is too soon.
func (m *meeting) askAgain() <-chan struct{} {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	switch {
	case m.asking != nil:
		return m.asking
	case m.found.peer == (identity.ID{}) || time.Since(m.asked) < askAgainPause:
		return nil
	}
	done := make(chan struct{})
	m.asking = done
	go func() {
		a := m.askForTransfer()
		if a.err == nil {
			m.learn(a)
		} else {
			m.node.Log.Info("the hubs do not say where the peer is now", "err", a.err)
		}
		m.foundMu.Lock()
		m.asking, m.asked = nil, time.Now()
		m.foundMu.Unlock()
		close(done)
	}()
	return done
}

// askForTransfer asks where the listener of the transfer is now.
func (m *meeting) askForTransfer() answer {
	m.foundMu.Lock()
	peer, cred := m.found.peer, m.resume
	m.foundMu.Unlock()
	ctx, cancel := context.WithTimeoutCause(m.node.life, askAgainTime, proto.Errorf(proto.Unreachable, "no answer"))
	defer cancel()
	h := m.node.openHubs(m.urls, false, nil)
	defer h.close()
	s, at, err := h.request(ctx, func(hub.URL) agent.Ask {
		return agent.Ask{
			To: peer.String(), Kind: m.kind(), Want: m.target.Want,
			Judge: func(_ context.Context, c agent.Claim) error {
				if c.Peer != peer {
					return proto.Errorf(proto.Identity, "the hub names another node than the one of the transfer")
				}
				return nil
			},
			Bearer: func(session hub.ID) *hub.Bearer {
				return hub.NewBearer(hub.MethodResume, cred.Public, cred.Secret, session, m.node.Key.ID(), peer)
			},
		}
	})
	return newAnswer(h, s, at, GradePinned, err)
}
