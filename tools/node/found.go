package node

import (
	"context"
	"slices"
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
	noPlace    bool        // the hub has a relay, and gives this session no place there
	punch      *punching   // nil for none
	direct     bool        // the first link since the hubs have answered needs no relay, and so no holes
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
	noPlace := false
	if _, relayed := m.target.Via.Reaches(); relayed {
		if _, relayed = peerVia(a.session).Reaches(); relayed {
			via = m.node.newAccess(a.session.Relays, a.hub, a.session.Peer)
			noPlace = len(a.session.Relays) == 0 && a.at != nil && a.at.NamesRelay()
		}
	}
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	m.punch.close()
	if noPlace && m.relay != nil {
		via = m.relay // for as long as the relay takes its permit
	}
	m.candidates, m.relay, m.punch, m.noPlace = list, via, nil, noPlace
	if !m.direct {
		m.punch = m.node.punchForListener(m, a)
	}
	if m.punch == nil && a.session.Updates != nil {
		a.session.Updates.Close()
	}
}

// knowsWay reports whether a path to the peer may be found.
func (m *meeting) knowsWay() bool {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	return len(m.candidates) > 0 || m.relay != nil || m.punch != nil
}

// placeHint adds to the error of a dial that the hub has given no place at its relay.
func (m *meeting) placeHint(err error) error {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	if !m.noPlace || proto.CodeOf(err) != proto.Unreachable {
		return err
	}
	return proto.Hint(err, "the hub gives these two nodes no place at its relay: they may have used up their bytes (mesh-hub serve --relay-bytes), which come back within an hour")
}

// punches reports whether better paths are looked for.
func (m *meeting) punches() bool {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	return m.punch != nil
}

// feed sends the ways that are known, and then those that are found, until ctx ends or
// [punchTime] is over.
func (m *meeting) feed(ctx context.Context, w *ways) {
	m.tell(ctx, w)
	m.foundMu.Lock()
	punch := m.punch
	m.foundMu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, punchTime)
	defer cancel()
	punch.feed(ctx, w)
}

// fill closes the ways when f has sent those that it finds, and the local networks have been
// asked for the peer, if it is to be asked for.
func (m *meeting) fill(ctx context.Context, w *ways, peer identity.ID, f func()) {
	defer w.close()
	var near sync.WaitGroup
	defer near.Wait()
	near.Go(func() { m.nearby.feed(ctx, peer, m.ports, w) })
	f()
}

// ports returns the ports at which the peer is known to listen.
func (m *meeting) ports() []uint16 {
	addrs := slices.Clone(m.peer.Addrs)
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	for _, c := range m.candidates {
		addrs = append(addrs, c.Addr)
	}
	return portsOf(addrs)
}

// tell sends the ways that are known.
func (m *meeting) tell(ctx context.Context, w *ways) {
	m.foundMu.Lock()
	list, relay := m.candidates, m.relay
	m.foundMu.Unlock()
	for _, c := range list {
		w.addCandidate(ctx, c)
	}
	if relay != nil {
		w.addRoute(ctx, relay.route())
	}
}

func (w *ways) addCandidate(ctx context.Context, c candidate.Candidate) {
	select {
	case w.candidates <- c:
	case <-ctx.Done():
	}
}

func (w *ways) addRoute(ctx context.Context, r path.Route) {
	select {
	case w.routes <- r:
	case <-ctx.Done():
	}
}

// linked notes the link that has begun the transfer.
func (m *meeting) linked(l *link.Link) {
	m.foundMu.Lock()
	defer m.foundMu.Unlock()
	m.found.peer, m.resume = l.Peer, l.Credential()
	if m.direct = l.Path().Kind != path.Relay; m.direct {
		m.punch.close()
		m.punch = nil
	}
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
	wait := askAgainAfter
	m.foundMu.Lock()
	peer := m.found.peer
	if m.relay != nil && m.relay.refused.Load() {
		wait = 0
	}
	m.foundMu.Unlock()
	go m.fill(ctx, w, peer, func() {
		known, stop := context.WithTimeout(ctx, wait)
		defer stop()
		m.feed(known, w)
		<-known.Done()
		asked := m.askAgain()
		if asked == nil || ctx.Err() != nil {
			return
		}
		select {
		case <-asked:
			m.feed(ctx, w)
		case <-ctx.Done():
		}
	})
	return w.candidates, w.routes
}

// Better implements [link.Meeting]. Each call begins another round of looking for holes,
// unless one is under way, and asks for the peer in the local networks. Without a session at
// a hub in which to look for holes, it asks the hubs for another one first.
func (m *meeting) Better(ctx context.Context, than path.Kind) (<-chan candidate.Candidate, <-chan path.Route) {
	w := newWays()
	m.foundMu.Lock()
	peer, holes := m.found.peer, than == path.Relay // from another path, a hole leads to one of the same kind
	ask := holes && (m.direct || m.asking != nil || m.punch.over())
	m.foundMu.Unlock()
	go m.fill(ctx, w, peer, func() {
		m.feedBetter(ctx, w, holes && !ask)
		if !ask {
			return
		}
		if asked := m.askAgain(); asked != nil {
			select {
			case <-asked:
				m.feedBetter(ctx, w, true)
			case <-ctx.Done():
			}
		}
	})
	return w.candidates, w.routes
}

// feedBetter sends the candidates that are known, and with holes those of a round of looking
// for holes, until ctx ends or [punchTime] is over.
func (m *meeting) feedBetter(ctx context.Context, w *ways, holes bool) {
	m.foundMu.Lock()
	list, punch := m.candidates, m.punch
	m.foundMu.Unlock()
	for _, c := range list {
		w.addCandidate(ctx, c)
	}
	if !holes {
		return
	}
	punch.again()
	ctx, cancel := context.WithTimeout(ctx, punchTime)
	defer cancel()
	punch.feed(ctx, w)
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
		a := m.forTransfer()
		if a.err == nil {
			m.foundMu.Lock()
			m.direct = false // that link has broken
			m.foundMu.Unlock()
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
func (m *meeting) askForTransfer() (a answer) {
	m.foundMu.Lock()
	peer, cred := m.found.peer, m.resume
	m.foundMu.Unlock()
	ctx, cancel := context.WithTimeoutCause(m.node.life, askAgainTime, proto.Errorf(proto.Unreachable, "no answer"))
	defer cancel()
	h := m.node.openHubs(m.urls, false, nil)
	defer func() { m.keep(h, a) }()
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

// keep keeps the hubs that have answered about the transfer, in place of those before: the
// ends tell each other their candidates there.
func (m *meeting) keep(h *hubs, a answer) {
	m.mu.Lock()
	old := m.kept
	m.kept = nil
	if a.err == nil {
		m.kept = h
		context.AfterFunc(m.node.life, h.close)
	} else {
		defer h.close()
	}
	m.mu.Unlock()
	old.close()
}
