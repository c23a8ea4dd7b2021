package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/handshake"
	"mesh/proto/link"
	"mesh/proto/nat"
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
	// Refused is nil if the peer would admit this node, else its refusal with a hint.
	Refused error
	// Ways are the paths that the peer has answered over, the best first. The best one
	// that can be pinged more than once was pinged as often as was asked for.
	Ways []Way
	// Tried are the paths that have failed.
	Tried []Way
	// Here and There are the kinds of NAT at this end and at the peer's; "" if not known.
	Here, There string
}

// Way is a path that was tried.
type Way struct {
	Path path.Path
	Addr string         // "" through a relay, and where there was none
	Type candidate.Type // "" at an address that a person gave
	RTTs []time.Duration
	Lost int   // pings without an answer within 2 s
	Once bool  // a TCP hole is one connection, so nothing is known about loss
	Err  error // why the path has failed

	hole    bool
	refused error
	again   func(context.Context) (link.Ping, error)
}

// Ping finds out which path leads to a peer, how fast that is, and whether the peer would
// admit this node. It uses no token up and begins nothing. It blocks for as long as the
// pings take, and for 6 s at most while holes are looked for. An error says that the peer
// was not reached, and [Pinged.Tried] why; a refusal is in [Pinged.Refused].
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
	found := new(survey)
	err = n.retry(ctx, t, r.Wait, func(ctx context.Context, t link.Target) error {
		m.target = t
		found.close()
		found = newSurvey(m)
		return found.ping(ctx)
	})
	defer func() { found.close() }()
	got := Pinged{Peer: p, Ways: found.ways, Tried: found.failed}
	if err == nil {
		got.Peer.ID = found.target.ID
		err = got.repeat(ctx, r.Count)
	} else {
		err = n.dialHint(p, want, fmt.Errorf("link to %s: %w", p.label(), err))
	}
	got.Here, got.There = found.kinds()
	if len(got.Ways) > 0 && got.Ways[0].refused != nil {
		got.Refused = n.dialHint(p, want, fmt.Errorf("link to %s: %w", p.label(), got.Ways[0].refused))
	}
	return got, err
}

// Counted returns the index of the path whose loss is counted: the best one that can be
// pinged more than once, but a relay only where nothing is better; -1 for none.
func (g Pinged) Counted() int {
	i := slices.IndexFunc(g.Ways, func(w Way) bool { return !w.Once })
	if i > 0 && g.Ways[i].Path.Kind == path.Relay {
		return -1
	}
	return i
}

// repeat pings over the path of Counted until count pings are sent there.
func (g *Pinged) repeat(ctx context.Context, count int) error {
	i := g.Counted()
	if i < 0 {
		return nil
	}
	w := &g.Ways[i]
	interval := pingInterval
	if w.Path.Kind == path.Relay {
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
		again, err := pingAgain(ctx, w.again)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			w.Lost++
		default:
			w.RTTs = append(w.RTTs, again.RTT)
		}
	}
	return nil
}

func pingAgain(ctx context.Context, ping func(context.Context) (link.Ping, error)) (link.Ping, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pingTimeout, errNoPong)
	defer cancel()
	p, err := ping(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded): // a socket is told the deadline
		err = errNoPong
	}
	return p, err
}

var errNoPong = proto.Errorf(proto.Unreachable, "no answer in %s", pingTimeout)

// Mean returns the mean of the round trips.
func (w Way) Mean() (mean time.Duration) {
	for _, rtt := range w.RTTs {
		mean += rtt
	}
	return mean / time.Duration(max(len(w.RTTs), 1))
}

// Hint says what would make a better path possible; "" for nothing.
func (g Pinged) Hint() string {
	overTCP := slices.ContainsFunc(g.Ways, func(w Way) bool { return w.Path.Kind != path.Relay && strings.HasPrefix(w.Path.Proto, "tcp") })
	forward := "forward a port to the other machine, and name it there with --addr, or turn on UPnP in its router"
	switch {
	case g.Here == "" || len(g.Ways) > 0 && overTCP:
		return ""
	case len(g.Ways) > 0 && g.Ways[0].Path.Kind != path.Relay:
		return "for TCP, " + forward
	case g.Here == string(nat.Blocked):
		return "for a direct path, let UDP out of this network, or " + forward
	}
	return "for a direct path, " + forward
}

// Answer says in a word what the peer has answered: "allowed", "path" if it bars the path,
// or the name of the exit code with which it refuses.
func (g Pinged) Answer() string {
	switch {
	case len(g.Ways) == 0:
		return ""
	case g.Refused == nil:
		return "allowed"
	case errors.Is(g.Refused, handshake.ErrPath):
		return "path"
	}
	return proto.CodeOf(g.Refused).String()
}

// Err returns the refusal with code [proto.Denied], also where the peer knows this node
// and allows it nothing; another code if a later ping may be admitted.
func (g Pinged) Err() error {
	err := g.Refused
	if proto.CodeOf(err) == proto.Capability {
		return &proto.Error{Code: proto.Denied, Err: err}
	}
	return err
}

// Label is the peer's name in messages.
func (g Pinged) Label() string { return g.Peer.label() }
