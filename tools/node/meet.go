package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// The waits of a dialer that waits for a peer at a hub: until it asks again although the
// hub has told nothing, for a peer that the hub does not know, and after a peer that did
// not answer.
const (
	watchFor    = 30 * time.Second
	unknownWait = 2 * time.Second
	// rateLimitedPause is the least wait after a hub has refused one request too many.
	rateLimitedPause = 200 * time.Millisecond
)

// askAfter is how long the addresses in a token are dialled before the hubs are asked where
// its listener is, and askTime how long they have to answer.
const (
	askAfter = 300 * time.Millisecond
	askTime  = 5 * time.Second
)

var silentWaits = []time.Duration{5 * time.Second, 10 * time.Second, 30 * time.Second}

// meeting is one attempt to link to a peer with the help of hubs, which introduce it, or
// for the bearer of a token say where it is.
type meeting struct {
	node     *Node
	urls     []hub.URL // of the hubs to ask
	endpoint *link.Endpoint
	peer     Peer
	request  Request
	target   link.Target
	nearby   *nearby // nil if the local networks are not used
	spent    bool    // the code was tried: there is no second time

	mu   sync.Mutex
	hubs *hubs // nil until they are asked for the peer of a token
	kept *hubs // of the newest request for the transfer
	over bool  // no hub is asked any more
	// forTransfer asks where the listener of the transfer is now: askForTransfer, but for
	// tests.
	forTransfer func() answer
	found
}

// meet links to a peer by way of the hubs, and at the same time by the addresses of the
// address book or the token, if the peer has any.
func (n *Node) meet(ctx context.Context, e *link.Endpoint, p Peer, r Request, t link.Target) (*link.Link, error) {
	m := n.newMeeting(e, p, r, t)
	l, err := n.meetAt(ctx, m)
	if err != nil {
		m.close()
		return nil, m.placeHint(err)
	}
	if !m.punches() {
		go m.close() // the transfer need not wait for it
		return l, nil
	}
	context.AfterFunc(n.life, m.close) // the ends still tell each other candidates there
	return l, nil
}

// newMeeting begins to log in at the hubs if they are asked for the peer by a name.
func (n *Node) newMeeting(e *link.Endpoint, p Peer, r Request, t link.Target) *meeting {
	m := &meeting{node: n, urls: n.options.Hubs, endpoint: e, peer: p, request: r, target: t, nearby: n.nearbyFor(t)}
	m.forTransfer = m.askForTransfer
	if p.hub != nil {
		m.urls = n.hubsFor(p.hub)
		m.open()
	}
	return m
}

// open returns the hubs, to which it connects the first time; nil if it is called after
// close for the first time.
func (m *meeting) open() *hubs {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hubs == nil && !m.over {
		m.hubs = m.node.openHubs(m.urls, false, nil)
	}
	return m.hubs
}

func (m *meeting) close() {
	m.mu.Lock()
	h := m.hubs
	m.over = true
	m.mu.Unlock()
	h.close()
}

// meetAt tries to link until there is a link, or the time is over.
func (n *Node) meetAt(ctx context.Context, m *meeting) (*link.Link, error) {
	r := m.request
	waiting, cancel := ctx, func() {}
	if r.Wait > 0 {
		waiting, cancel = context.WithTimeoutCause(ctx, r.Wait, proto.Errorf(proto.Unreachable, "no answer"))
	}
	defer cancel()
	for attempt := 0; ; attempt++ {
		if r.Wait > 0 {
			m.target.AttemptTimeout = min(firstAttempt<<min(attempt, 4), proto.DialTimeout)
		}
		l, err := m.try(waiting)
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case r.Wait == 0 || m.spent || waiting.Err() == nil && !mayPass(err):
			return nil, err
		}
		n.Log.Info("peer is not there yet", "err", err)
		m.pause(waiting, err, attempt)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if waiting.Err() != nil {
			return nil, fmt.Errorf("gave up after %s: %w", r.Wait, err)
		}
	}
}

// mayPass reports whether another attempt may succeed. A peer whose time for the handshake
// ran out has begun nothing: one of the two machines was busy.
func mayPass(err error) bool {
	code := proto.CodeOf(err)
	return code == proto.Unreachable || code == proto.Busy || code == proto.Timeout || errors.Is(err, link.ErrBroken) || errors.Is(err, link.ErrNotReached)
}

// pause blocks until another attempt has a chance.
func (m *meeting) pause(ctx context.Context, err error, attempt int) {
	wait := redialPause
	switch agent.CodeOf(err) {
	case hub.CodeOffline:
		if !m.byToken() {
			m.open().awaitPeer(ctx, m.peer.hub.to, m.kind(), watchFor)
		}
	case hub.CodeNotFound:
		wait = unknownWait
	case hub.CodeTimeout:
		wait = silentWaits[min(attempt, len(silentWaits)-1)]
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

func (m *meeting) kind() hub.Kind { return hub.Kind(cmp.Or(m.request.Kind, wire.KindPipe)) }

// try makes one attempt.
func (m *meeting) try(ctx context.Context) (*link.Link, error) {
	if direct, _ := m.target.Via.Reaches(); direct && len(m.peer.Addrs) > 0 {
		return m.tryBoth(ctx)
	}
	a := m.ask(ctx)
	if a.err != nil {
		return nil, a.err
	}
	return m.dial(ctx, a)
}

// tryBoth dials the addresses of the address book while it asks the hubs, or those of a
// token, and asks the hubs if no answer comes soon. What the hubs bring joins that dial if
// the listener admits this node by what it has already; a token needs a dial of its own.
func (m *meeting) tryBoth(ctx context.Context) (*link.Link, error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	ways, asked := newWays(), make(chan answer, 1)
	t := ways.of(m.target)
	t.Meeting = m
	go m.fill(asking, ways, t.ID, func() {
		a := m.askBeside(asking)
		asked <- a
		if m.joins(a) {
			m.learn(a)
			m.feed(asking, ways)
		}
	})
	l, err := m.endpoint.Dial(ctx, t)
	if err == nil {
		m.linked(l)
		m.closeSession(ctx, asked, l)
		return l, nil
	}
	raced := len(asked) > 0
	a := <-asked
	switch {
	case a.err == nil && (!m.joins(a) || !raced):
		return m.dial(ctx, a)
	case m.byToken() || a.err == nil || errors.Is(a.err, agent.ErrLogin) || agent.CodeOf(a.err) == hub.CodeNotFound:
		return nil, err
	case proto.CodeOf(a.err) != proto.Unreachable && proto.CodeOf(err) == proto.Unreachable:
		return nil, a.err
	}
	return nil, err
}

// byToken reports whether the hubs are asked for no name, but for the peer of a token.
func (m *meeting) byToken() bool { return m.peer.hub == nil }

// joins reports whether what the hubs have brought can join a dial that runs.
func (m *meeting) joins(a answer) bool {
	if a.err != nil || a.session.Grant.Token != "" && !m.byToken() {
		return false
	}
	both, ok := m.target.Via.And(peerVia(a.session))
	return ok && both == m.target.Via
}

// askBeside asks the hubs while the addresses of the peer are dialled.
func (m *meeting) askBeside(ctx context.Context) answer {
	if !m.byToken() {
		return m.ask(ctx)
	}
	select {
	case <-time.After(askAfter):
	case <-ctx.Done():
		return answer{err: context.Cause(ctx)}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, proto.Errorf(proto.Unreachable, "no answer"))
	defer cancel()
	return m.ask(ctx)
}

// closeSession tells the hub that the session it may have made is over: there is a link.
func (m *meeting) closeSession(ctx context.Context, asked <-chan answer, l *link.Link) {
	if len(asked) == 0 {
		return
	}
	if a := <-asked; a.err == nil {
		a.at.Closed(ctx, a.session, "linked", string(l.Path().Kind))
	}
}

// peerVia returns which paths a listener takes. A word of a later version bars nothing: the
// listener refuses what it does not take.
func peerVia(s agent.Session) path.Via {
	v, _ := path.ParseVia(s.Grant.Via)
	return v
}

// dial dials the candidates of a session.
func (m *meeting) dial(ctx context.Context, a answer) (*link.Link, error) {
	dialing, cancel := context.WithCancel(ctx)
	defer cancel()
	t, err := m.targetOf(dialing, a)
	if err != nil {
		return nil, err
	}
	l, err := m.endpoint.Dial(ctx, t)
	if err != nil {
		return nil, anotherNode(err)
	}
	m.linked(l)
	if !m.byToken() {
		m.node.noteMet(m.peer, t.ID, a.grade)
	}
	if !m.punches() {
		a.at.Closed(ctx, a.session, "linked", string(l.Path().Kind))
	}
	return l, nil
}

// anotherNode returns the error of a dial at candidates. No person gave their addresses, so
// another node there is a path that failed.
func anotherNode(err error) error {
	if errors.Is(err, path.ErrNotReached) && proto.CodeOf(err) == proto.Identity {
		return &proto.Error{Code: proto.Unreachable, Err: err}
	}
	return err
}

// targetOf returns the target for a session: its candidates, which arrive until ctx ends, and
// its token if it has one.
func (m *meeting) targetOf(ctx context.Context, a answer) (link.Target, error) {
	t, err := m.learnTarget(a)
	if err != nil {
		return t, err
	}
	ways := newWays()
	go m.fill(ctx, ways, t.ID, func() { m.feed(ctx, ways) })
	return ways.of(t), nil
}

// learnTarget returns the target for a session, without its candidates, which it notes.
func (m *meeting) learnTarget(a answer) (link.Target, error) {
	t, s := m.target, a.session
	t.Meeting = m
	t.ID, t.Addrs = s.Peer, nil
	var ok bool
	if t.Via, ok = t.Via.And(peerVia(s)); !ok {
		return t, proto.Errorf(proto.Unreachable, "the peer links by %s alone, and --via %s bars that", peerVia(s), m.target.Via)
	}
	if s.Grant.Token != "" && !m.byToken() {
		granted, err := token.Parse(s.Grant.Token)
		if err != nil || granted.Listener != s.Peer {
			return t, proto.Errorf(proto.Protocol, "the token of the session is not the peer's")
		}
		if !granted.Caps.Has(t.Need) {
			err := proto.Errorf(proto.Capability, "the peer allows %s, and this needs %s", granted.Caps, t.Need)
			return t, proto.Hint(err, capsHint(granted.Caps))
		}
		t.Credential = granted.Credential()
	}
	m.learn(a)
	if !m.knowsWay() {
		return t, proto.Errorf(proto.Unreachable, "the peer has told no address that can be dialled from here, and the hub offers no relay")
	}
	return t, nil
}

// local reports whether a hub is on this machine, as in tests: then the peer may be, too.
func (m *meeting) local() bool {
	return slices.ContainsFunc(m.urls, func(u hub.URL) bool { return proto.IsLoopbackHost(u.Name()) })
}

// dialable returns the candidates of a session that may be dialled.
func (m *meeting) dialable(s agent.Session) (list []candidate.Candidate) {
	local := m.local()
	for _, c := range s.Grant.Candidates {
		if c := candidate.Candidate(c); c.Dialable(local) && c.Type != candidate.ServerReflexive { // which needs a hole
			list = append(list, c)
		}
	}
	return list
}
