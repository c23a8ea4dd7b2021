package nat

import "net/netip"

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
