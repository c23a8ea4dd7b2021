package nat

import (
	"net/netip"
	"slices"

	"mesh/proto/candidate"
	"mesh/proto/identity"
)

// NewCheck returns the check with a number that the end s of a session sends.
func NewCheck(s Session, number uint64) []byte { return CheckVector(s, checkID(number)) }

// MAC returns MESSAGE-INTEGRITY-SHA256 of a message that ends before it.
func MAC(key [32]byte, before []byte) []byte { return (*punchKey)(&key).mac(before) }

// Receive hands the Mux a datagram without a socket.
func (m *Mux) Receive(b []byte, from netip.AddrPort) { m.receive(b, from) }

// KindOf is the comparison in Map.
var KindOf = kindOf

// CheckVector returns the check with a transaction id that the end s of a session sends.
func CheckVector(s Session, id [12]byte) []byte {
	b, err := newCheck(sessionName(s.ID[:]), id, (*punchKey)(&s.Own))
	if err != nil {
		panic(err)
	}
	return b
}

// LANQuestion is the question for a node with a nonce.
func LANQuestion(id identity.ID, nonce [16]byte) []byte { return newLANQuestion(id, nonce) }

// LANAnswer is the answer of a node to that.
func LANAnswer(id identity.ID, nonce [16]byte, port uint16) []byte {
	return newLANAnswer(id, nonce, port)
}

// ParseLANQuestion returns the nonce of a question for a node.
func ParseLANQuestion(b []byte, id identity.ID) ([16]byte, bool) { return parseLANQuestion(b, id) }

// ParseLANAnswer returns the port in an answer of a node.
func ParseLANAnswer(b []byte, id identity.ID, nonce [16]byte) (uint16, bool) {
	return parseLANAnswer(b, id, nonce)
}

// LANNetwork returns the interfaces of a machine with the given networks.
func LANNetwork(prefixes ...string) []lanInterface {
	var in lanInterface
	for _, p := range prefixes {
		in.prefixes = append(in.prefixes, netip.MustParsePrefix(p))
	}
	return []lanInterface{in}
}

// NewLANAnswerer returns the function that answers questions on a machine.
func NewLANAnswerer(o LANOptions, on []lanInterface) func([]byte, netip.AddrPort) ([]byte, bool) {
	return newLANAnswerer(o, func() ([]lanInterface, error) { return on, nil }).answer
}

// LANTake returns what an asker makes of datagrams, of which the answers have its nonce.
func LANTake(id identity.ID, ports []uint16, on []lanInterface, got map[netip.AddrPort]func(nonce [16]byte) []byte) (list []candidate.Candidate) {
	a := newLANAsker(id, ports, on)
	for from, b := range got {
		a.take(b(a.nonce), from)
	}
	close(a.found)
	for c := range a.found {
		list = append(list, c)
	}
	return list
}

// ThroughTunnelOf is throughTunnel, for tests.
var ThroughTunnelOf = throughTunnel

// LANInterfaces returns whether this machine is in a network in which nodes ask.
func LANInterfaces() bool {
	list, err := lanInterfaces()
	return err == nil && slices.ContainsFunc(list, func(i lanInterface) bool {
		return slices.ContainsFunc(i.prefixes, func(p netip.Prefix) bool { return isNear(list, p.Addr()) })
	})
}
