package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/wire"
)

const (
	// pingInterval is the time between two pings, relayedInterval that through a relay,
	// which bounds how often a session may join it; pingTimeout is how long each may take.
	pingInterval    = 100 * time.Millisecond
	relayedInterval = time.Second
	pingTimeout     = 2 * time.Second
)

// PingRequest says how to ping a peer.
type PingRequest struct {
	// Count is how many pings are sent, 1 or more, 100 ms apart, or 1 s through a relay.
	Count int
	// Wait is how long to try again while the peer is not there; 0 tries once.
	Wait time.Duration
}

// Pinged is what pings have found out about a peer.
type Pinged struct {
	Peer Peer
	// Ping is that of the first answer; its Refused has a hint.
	Ping link.Ping
	// RTTs are the round trips of the pings that were answered, in this order.
	RTTs []time.Duration
	// Lost is the number of pings without an answer within 2 s.
	Lost int
	// Tried are the other paths to the address of the first answer.
	Tried []TriedPath
}

// TriedPath is a path that the first answer did not come by.
type TriedPath struct {
	Path path.Path
	Addr string
	RTT  time.Duration
	Err  error // why the path failed; nil if the peer has answered there too
}

// Ping finds out which path leads to a peer, how fast that is, and whether the peer would
// admit this node. It uses no token up and begins nothing. It blocks for as long as the
// pings take, and for 2 s at most for each path that fails. An error says that the peer
// was not reached; a refusal is in [Pinged.Ping].
func (n *Node) Ping(ctx context.Context, p Peer, r PingRequest) (Pinged, error) {
	switch {
	case p.ByCode():
		err := proto.Errorf(proto.Usage, "a code is for one use, and a ping is not it")
		return Pinged{}, proto.Hint(err, "mesh-ping takes a token, @FILE or a name")
	case len(p.Addrs) == 0 && p.hub == nil:
		return Pinged{}, proto.Errorf(proto.Unreachable, "link to %s: %w", p.label(), errNoAddress)
	}
	e, err := n.endpointFor(p)
	if err != nil {
		return Pinged{}, err
	}
	want := Request{Kind: wire.KindPing, Need: proto.CapSend}
	t := link.Target{ID: p.ID, Addrs: p.Addrs, Credential: p.Credential, Want: p.Caps, Kind: wire.KindPing, Via: n.options.Via}
	m := n.newMeeting(e, p, want, t)
	defer m.close()
	got := Pinged{Peer: p}
	err = n.retry(ctx, t, r.Wait, func(ctx context.Context, t link.Target) (err error) {
		m.target = t
		got.Ping, m.target, err = m.ping(ctx)
		return err
	})
	if err != nil {
		return got, n.dialHint(p, want, fmt.Errorf("link to %s: %w", p.label(), err))
	}
	if err := got.Ping.Refused; err != nil {
		got.Ping.Refused = n.dialHint(p, want, fmt.Errorf("link to %s: %w", p.label(), err))
	}
	got.Peer.ID = m.target.ID
	got.RTTs = []time.Duration{got.Ping.RTT}
	return got, got.repeat(ctx, e, m.target, r.Count)
}

// ping pings once: the addresses that are known here, and if nobody answers there, those
// that a hub knows. It returns the target that has answered.
func (m *meeting) ping(ctx context.Context) (link.Ping, link.Target, error) {
	t := m.target
	var known error // of the addresses that are known here
	if len(t.Addrs) > 0 {
		if len(m.urls) > 0 {
			t.AttemptTimeout = pingTimeout
		}
		var got link.Ping
		got, known = m.pingKnown(ctx, t)
		if known == nil || len(m.urls) == 0 || proto.CodeOf(known) == proto.Identity || ctx.Err() != nil {
			return got, t, known
		}
	}
	a := m.ask(ctx)
	if a.err != nil {
		return link.Ping{}, t, cmp.Or(known, a.err)
	}
	t, err := m.targetOf(ctx, a)
	if err != nil {
		return link.Ping{}, t, err
	}
	got, err := m.endpoint.Ping(ctx, t)
	if err != nil {
		return got, t, anotherNode(err)
	}
	if !m.byToken() {
		m.node.noteMet(m.peer, t.ID, a.grade)
	}
	a.at.Closed(ctx, a.session, "pinged", string(got.Path.Kind))
	return got, t, nil
}

// Once reports whether the path of the first answer can be pinged only once, so that
// nothing is known about loss: a TCP hole is one connection.
func (g Pinged) Once() bool {
	return g.Ping.Path.Kind == path.Punched && g.Ping.Via == proto.ViaTCP
}

// pingKnown pings a target at its addresses, or where it answers in the local networks.
func (m *meeting) pingKnown(ctx context.Context, t link.Target) (link.Ping, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWays()
	go m.fill(ctx, w, t.ID, func() {})
	return m.endpoint.Ping(ctx, w.of(t))
}

// repeat pings count times in all over the path of the first answer, and once over the
// other transport. Nothing else listens at the address of a TCP hole.
func (g *Pinged) repeat(ctx context.Context, e *link.Endpoint, t link.Target, count int) error {
	if g.Once() {
		return nil
	}
	interval := pingInterval
	if g.Ping.Path.Kind == path.Relay {
		interval = relayedInterval
	}
	at := time.NewTicker(interval)
	defer at.Stop()
	for range count - 1 {
		select {
		case <-at.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		again, err := pingAgain(ctx, e, t, g.Ping.Via, g.Ping)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			g.Lost++
		default:
			g.RTTs = append(g.RTTs, again.RTT)
		}
	}
	other := proto.ViaQUIC
	if g.Ping.Via == other {
		other = proto.ViaTCP
	}
	if g.Ping.Path.Kind == path.Relay || !e.Has(other) {
		return nil
	}
	again, err := pingAgain(ctx, e, t, other, g.Ping)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		again.Path = path.To(e.Endpoint, other, g.Ping.Addr.Addr())
	}
	g.Tried = append(g.Tried, TriedPath{again.Path, g.Ping.Addr.String(), again.RTT, err})
	return nil
}

// pingAgain pings where the first answer came from, over a transport, or through a relay if
// that answer came through one.
func pingAgain(ctx context.Context, e *link.Endpoint, t link.Target, via string, first link.Ping) (link.Ping, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pingTimeout, errNoPong)
	defer cancel()
	if first.Path.Kind != path.Relay {
		return e.PingAt(ctx, t, via, first.Addr)
	}
	t.Addrs, t.Via = nil, path.Via{Kind: path.Relay}
	t.Candidates, t.Routes = t.Meeting.Routes(ctx)
	return e.Ping(ctx, t)
}

var errNoPong = proto.Errorf(proto.Unreachable, "no answer in %s", pingTimeout)

// Mean returns the mean of the round trips.
func (g Pinged) Mean() (mean time.Duration) {
	for _, rtt := range g.RTTs {
		mean += rtt
	}
	return mean / time.Duration(max(len(g.RTTs), 1))
}

// Answer says in a word what the peer has answered: "allowed", "path" if it bars the path,
// or the name of the exit code with which it refuses.
func (g Pinged) Answer() string {
	switch {
	case g.Ping.Refused == nil:
		return "allowed"
	case errors.Is(g.Ping.Refused, handshake.ErrPath):
		return "path"
	}
	return proto.CodeOf(g.Ping.Refused).String()
}

// Err returns the refusal with code [proto.Denied], also where the peer knows this node
// and allows it nothing; another code if a later ping may be admitted.
func (g Pinged) Err() error {
	err := g.Ping.Refused
	if proto.CodeOf(err) == proto.Capability {
		return &proto.Error{Code: proto.Denied, Err: err}
	}
	return err
}

// Label is the peer's name in messages.
func (g Pinged) Label() string { return g.Peer.label() }
