package node

import (
	"context"
	"log/slog"
	"net"

	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/nat"
	"mesh/proto/relay"
)

// NameOfHost is nameOfHost, UntilLate untilLate, and Signal signal, for tests.
var (
	NameOfHost = nameOfHost
	UntilLate  = untilLate
	Signal     = signal
)

// Places returns how many places the waiter has at relays.
func (w *Waiter) Places() int {
	w.at.places.mu.Lock()
	defer w.at.places.mu.Unlock()
	return len(w.at.places.all)
}

// DialDoor connects to an address as a client of a relay does whose hub names one door.
func DialDoor(ctx context.Context, at hub.URL, door, addr string) (net.Conn, error) {
	return RelayDialer([]relay.Entry{{URL: door}}, at)(ctx, "tcp", addr)
}

// Candidates returns what a listener at a socket tells dialers, which the user has given
// some addresses.
func (n *Node) Candidates(at net.Addr, given []string) []hub.Candidate {
	return spot{node: n, at: at, given: given}.candidates()
}

// CandidatesBehind is the same behind a router that forwards a port.
func (n *Node) CandidatesBehind(port candidate.Candidate, at net.Addr) []hub.Candidate {
	return spot{node: n, at: at, ports: &forwarding{list: []candidate.Candidate{port}}}.candidates()
}

// MeetingOf returns the meeting of a transfer to a peer whose first link needed no relay.
// Ask asks the hubs where the peer is now.
func MeetingOf(peer identity.ID, ask func() (list []candidate.Candidate, err error)) link.Meeting {
	m := &meeting{node: &Node{Log: slog.New(slog.DiscardHandler)}}
	m.found.peer, m.direct = peer, true
	m.forTransfer = func() answer {
		list, err := ask()
		a := answer{err: err}
		for _, c := range list {
			a.session.Grant.Candidates = append(a.session.Grant.Candidates, hub.Candidate(c))
		}
		return a
	}
	return m
}

// OnBroken and OnMoved return the functions that tell of a link that has broken or is back, and
// of one that has moved.
func (n *Node) OnBroken(party func() Party) func(bool)      { return n.onBroken(party, new(outage)) }
func (n *Node) OnMoved(party func() Party) func(*link.Link) { return n.onMoved(party) }

// Near returns the meeting of a transfer to a peer that was at some addresses, with a hub or
// without one.
func (n *Node) Near(peer identity.ID, addrs []string, hubs bool) link.Meeting {
	t := link.Target{ID: peer, Addrs: addrs}
	if !hubs {
		return unhubbed{n.nearbyFor(t), t}
	}
	m := &meeting{node: n, nearby: n.nearbyFor(t), peer: Peer{Peer: identity.Peer{Addrs: addrs}}}
	m.found.peer = peer
	return m
}

// PortsOf returns which ports of a waiter the router is asked for.
func (n *Node) PortsOf(o Offer, port uint16) nat.PortMapOptions { return n.portsOf(o, port) }
