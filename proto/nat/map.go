package nat

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

// Kind is what the routers between this machine and the Internet do with its UDP packets.
type Kind string

// The kinds. The mapping of a router is the address and port that others see.
const (
	Open    Kind = "open"    // the address is this machine's own
	EIM     Kind = "eim"     // one mapping, whatever the destination is (endpoint-independent)
	EDM     Kind = "edm"     // another mapping for each destination (address- or port-dependent)
	Blocked Kind = "blocked" // no server has answered
	Unknown Kind = "unknown" // only one server has answered, or none was asked
)

// Mapping is what STUN servers say about a socket. Kind is that of IPv4 if a server has
// answered over IPv4, else that of IPv6. Addrs are the addresses that the servers saw,
// each once, in the order of the servers.
type Mapping struct {
	Kind  Kind
	Addrs []netip.AddrPort
}

const (
	// maxServers bounds the servers that Map asks.
	maxServers = 8

	// questionBytes is the size of a question to a server. No answer is longer.
	questionBytes = 64

	// silence is how long Map waits for a first answer.
	silence = 500 * time.Millisecond

	// straggling is how long Map waits for each server, beyond the round trip time of
	// the first one that answers.
	straggling = 300 * time.Millisecond
)

// questionTimes are the times at which Map asks a server that has not answered.
var questionTimes = []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond}

// Map asks STUN servers, 8 at most, for the address of the socket. Two of them, be it two
// ports of one host, are needed to tell [EIM] from [EDM]. local are the addresses of this
// machine's interfaces, nil if they are not known; a server of a family without an address
// is not asked. Map blocks until all servers have answered, but no longer than
// 300 ms and one round trip, or 500 ms if none answers. When ctx ends it returns what it
// knows. A nil Mux knows nothing.
func (m *Mux) Map(ctx context.Context, servers []netip.AddrPort, local []netip.Addr) Mapping {
	servers = slices.DeleteFunc(distinct(servers), func(a netip.AddrPort) bool { return !mayReach(a.Addr(), local) })
	servers = servers[:min(len(servers), maxServers)]
	if m == nil || len(servers) == 0 {
		return Mapping{Kind: Unknown}
	}
	s := &survey{mux: m, ids: make([]stunID, len(servers)), servers: servers, seen: make([]netip.AddrPort, len(servers)), answers: make(chan mappedAs, len(servers))}
	s.begin()
	s.run(ctx)
	kind := kindOf(s.seen, local)
	if kind == Blocked && ctx.Err() != nil {
		kind = Unknown
	}
	return Mapping{Kind: kind, Addrs: distinct(s.seen)}
}

// survey is one call of Map. The slices have an element for each server.
type survey struct {
	mux     *Mux
	servers []netip.AddrPort
	ids     []stunID
	seen    []netip.AddrPort // the zero value while a server has not answered
	answers chan mappedAs
}

// mappedAs is an answer.
type mappedAs struct {
	server int
	addr   netip.AddrPort
	rtt    time.Duration
}

func (s *survey) begin() {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	now := time.Now()
	for i, server := range s.servers {
		_, _ = rand.Read(s.ids[i][:]) // never fails
		s.mux.expectLocked(s.ids[i], &request{to: server, sent: now, answered: func(m *stun.Message, rtt time.Duration) bool {
			addr, err := ParseMapped(m.Raw, m.TransactionID)
			if err != nil {
				return false
			}
			select {
			case s.answers <- mappedAs{i, addr, rtt}:
			default: // answered before
			}
			return true
		}})
	}
}

func (s *survey) run(ctx context.Context) {
	begun := time.Now()
	limit := silence
	for next := 0; slices.Contains(s.seen, netip.AddrPort{}); {
		for ; next < len(questionTimes) && time.Since(begun) >= questionTimes[next]; next++ {
			s.ask()
		}
		until := limit
		if next < len(questionTimes) {
			until = min(until, questionTimes[next])
		}
		if time.Since(begun) >= limit {
			return
		}
		timer := time.NewTimer(until - time.Since(begun))
		select {
		case a := <-s.answers:
			if !slices.ContainsFunc(s.seen, netip.AddrPort.IsValid) {
				limit = straggling + a.rtt
			}
			s.seen[a.server] = a.addr
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-s.mux.done:
			return
		}
		timer.Stop()
	}
}

// ask asks the servers that have not answered.
func (s *survey) ask() {
	for i, server := range s.servers {
		if !s.seen[i].IsValid() {
			s.mux.send(AppendBinding(nil, s.ids[i], questionBytes), server)
		}
	}
}

// kindOf compares the addresses that servers saw, the zero value where one saw nothing.
func kindOf(seen []netip.AddrPort, local []netip.Addr) Kind {
	var first netip.AddrPort
	answers, kind := 0, EIM
	for _, is4 := range []bool{true, false} {
		for _, a := range seen {
			if !a.IsValid() || a.Addr().Is4() != is4 {
				continue
			}
			if answers++; answers == 1 {
				first = a
			}
			if a != first {
				kind = EDM
			}
		}
		if answers > 0 {
			break
		}
	}
	switch {
	case answers == 0:
		return Blocked
	case kind == EIM && slices.Contains(local, first.Addr()):
		return Open
	case answers == 1:
		return Unknown
	}
	return kind
}

// mayReach reports whether a machine with the local addresses can send to a server.
func mayReach(server netip.Addr, local []netip.Addr) bool {
	return len(local) == 0 || server.IsLoopback() || slices.ContainsFunc(local, func(a netip.Addr) bool {
		return a.Unmap().Is4() == server.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	})
}

// distinct returns the valid ones of addrs, unmapped, each once.
func distinct(addrs []netip.AddrPort) (out []netip.AddrPort) {
	for _, a := range addrs {
		if a = unmapped(a); a.IsValid() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
