package node

import (
	"context"
	"log/slog"
	"net"

	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/relay"
)

// NameOfHost is nameOfHost, for tests.
var NameOfHost = nameOfHost

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
