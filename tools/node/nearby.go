package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/nat"
	"mesh/proto/path"
)

const (
	// nearbyAfter is how long a dialer tries the addresses that it knows before it asks for
	// the peer in the networks of this machine. It waits for that even if all addresses
	// refuse it, and then for the answers: whoever refuses may be the new owner of an address
	// that the peer had. So such a dial fails after a second and not at once. It does not ask
	// at the start: most peers are where they were, and a question tells a whole network that
	// somebody is looked for.
	nearbyAfter = 300 * time.Millisecond
	// nearbyPause is the least time between two such questions for a peer.
	nearbyPause = 5 * time.Second
)

// nearby asks for one peer in the networks of this machine: a router may have given it
// another address there. A nil *nearby asks nobody.
type nearby struct {
	node *Node

	mu    sync.Mutex
	asked time.Time
}

// nearbyFor returns how to ask for the peer of a target; nil if that is not allowed.
func (n *Node) nearbyFor(t link.Target) *nearby {
	if direct, _ := t.Via.Reaches(); !direct || n.options.Reach.NoLAN {
		return nil
	}
	return &nearby{node: n}
}

// feed asks for a node if nearbyAfter passes before ctx ends, and sends what it answers. It
// blocks until no more can come. The ports are those of the addresses that are known: a
// router may change the address of a listener, but not its port.
func (b *nearby) feed(ctx context.Context, id identity.ID, ports func() []uint16, w *ways) {
	if b == nil || id == (identity.ID{}) {
		return
	}
	select {
	case <-time.After(nearbyAfter):
	case <-ctx.Done():
		return
	}
	known := ports()
	if len(known) == 0 || !b.mayAsk() {
		return
	}
	b.node.Log.Debug("asking for the peer in the local networks", "peer", id.Short())
	found, err := nat.AskLAN(ctx, id, known)
	if err != nil {
		b.node.Log.Info("the peer cannot be asked for in the local networks", "err", err)
		return
	}
	for c := range found {
		b.node.Log.Info("the peer answers in a local network", "proto", c.Proto, "addr", c.Addr)
		w.addCandidate(ctx, c)
	}
}

func (b *nearby) mayAsk() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asked.IsZero() && time.Since(b.asked) < nearbyPause {
		return false
	}
	b.asked = time.Now()
	return true
}

// portsOf returns the ports of addresses, but for those of this machine: what has a loopback
// address is asked for nowhere else.
func portsOf(addrs []string) (ports []uint16) {
	for _, addr := range addrs {
		host, service, err := net.SplitHostPort(addr)
		port, portErr := strconv.ParseUint(service, 10, 16)
		if err == nil && portErr == nil && !proto.IsLoopbackHost(host) && !slices.Contains(ports, uint16(port)) {
			ports = append(ports, uint16(port))
		}
	}
	return ports
}

// unhubbed is the [link.Meeting] of a peer for which no hub is asked.
type unhubbed struct {
	nearby *nearby
	target link.Target
}

// Routes implements [link.Meeting].
func (u unhubbed) Routes(ctx context.Context) (<-chan candidate.Candidate, <-chan path.Route) {
	w := newWays()
	go func() {
		defer w.close()
		u.nearby.feed(ctx, u.target.ID, func() []uint16 { return portsOf(u.target.Addrs) }, w)
	}()
	return w.candidates, w.routes
}

// Better implements [link.Meeting].
func (u unhubbed) Better(ctx context.Context, _ path.Kind) (<-chan candidate.Candidate, <-chan path.Route) {
	return u.Routes(ctx)
}

// Relayed implements [link.Meeting].
func (unhubbed) Relayed() bool { return false }

// answerNearby answers dialers that ask for this node in the networks of this machine, from now
// on until the node closes.
func (n *Node) answerNearby(e *link.Endpoint) {
	at := n.boundTo(e)
	if at == nil || n.options.Reach.NoLAN {
		return
	}
	bound, err := netip.ParseAddrPort(at.String())
	if err != nil || bound.Addr().Unmap().IsLoopback() {
		return
	}
	n.answering.Do(func() {
		o := nat.LANOptions{ID: n.Key.ID(), Changed: n.nextChange, Failed: func(err error) {
			n.Log.Info("nobody can ask for this node in a local network", "err", err)
		}}
		if n.uses(proto.ViaTCP) {
			o.TCP = bound.Port()
		}
		mux := e.Mux()
		go mux.AnswerLAN(n.life, o)
	})
}
