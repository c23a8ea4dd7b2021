package linktest

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/handshake"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Meeting is a [link.Meeting] of two nodes with a relay. A dial goes through that alone;
// better paths are the candidates.
type Meeting struct {
	Relay      *Relay
	Candidates []candidate.Candidate

	mu     sync.Mutex
	better []time.Time
}

// Routes implements [link.Meeting].
func (m *Meeting) Routes(context.Context) (<-chan candidate.Candidate, <-chan path.Route) {
	return nil, filled(m.Relay.Route())
}

// Better implements [link.Meeting].
func (m *Meeting) Better(context.Context, path.Kind) (<-chan candidate.Candidate, <-chan path.Route) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.better = append(m.better, time.Now())
	return filled(m.Candidates...), nil
}

// Relayed implements [link.Meeting].
func (m *Meeting) Relayed() bool { return true }

// Asked returns when Better was called.
func (m *Meeting) Asked() []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.better)
}

// filled returns a closed channel with values.
func filled[T any](all ...T) <-chan T {
	c := make(chan T, len(all))
	for _, v := range all {
		c <- v
	}
	close(c)
	return c
}

// Relayed are the two ends of a link that goes through a relay, and may move to a direct
// path.
type Relayed struct {
	Dialer, Listener *link.Link
	Meeting          *Meeting
	Relay            *Relay
	// ID, Addr and From are the listener's node id and address, and the dialer's endpoint.
	Addr netip.AddrPort
	From *link.Endpoint
}

// RelayedOptions are the settings of PairRelayed. The zero value is usable.
type RelayedOptions struct {
	// Guard is the listener's; nil for Anyone.
	Guard handshake.Guard
	// Kind is the kind of the path through the relay, as the dialer sees it; "" for
	// [path.Relay].
	Kind path.Kind
	// First is that of [link.Target].
	First func(wire.TransferID) []byte
}

// PairRelayed is Pair for a link through a relay.
func (n *Net) PairRelayed(t testing.TB, caps proto.Caps, o RelayedOptions) Relayed {
	t.Helper()
	dialing, _ := n.Endpoint(t)
	listening, key := n.Endpoint(t)
	if o.Guard == nil {
		o.Guard = Anyone{}
	}
	l, err := listening.Listen(link.ListenOptions{Guard: o.Guard, Offer: caps, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := Relayed{Relay: n.Relay(t), From: dialing, Addr: netip.MustParseAddrPort(listening.Addr().String())}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.Relay.Serve(ctx, listening) })
	t.Cleanup(func() {
		for _, end := range []*link.Link{p.Dialer, p.Listener} {
			if end != nil {
				end.Latest().Close(nil)
			}
		}
		stop()
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	p.Meeting = &Meeting{Relay: p.Relay}
	for _, protocol := range []candidate.Proto{candidate.TCP, candidate.UDP} {
		p.Meeting.Candidates = append(p.Meeting.Candidates, candidate.At(candidate.Host, protocol, p.Addr, 0))
	}
	p.Dialer, err = dialing.Dial(t.Context(), link.Target{
		ID: key.ID(), Routes: filled(p.Relay.routeOf(o.Kind)), Meeting: p.Meeting, Credential: token.KeyCredential(), Want: caps, Need: caps, First: o.First,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Listener, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// routeOf returns the dialer's way through the relay as a path of another kind.
func (r *Relay) routeOf(kind path.Kind) path.Route {
	route := r.Route()
	if kind == "" {
		return route
	}
	p := path.Path{Kind: kind, Proto: "tcp4"}
	return path.Route{Path: p, Dial: func(ctx context.Context) (transport.Carrier, error) {
		c, err := route.Dial(ctx)
		c.Path = p
		return c, err
	}}
}
