package broker

import (
	"time"

	"mesh/proto/hub"
)

// Relay is the relay at which the two ends of one session may meet.
type Relay interface {
	// Doors returns the doors of the relay, each with the permit of the end that has the
	// role. Origin is that of the hub as this end has logged in to it. It must neither
	// block nor call the Broker.
	Doors(role, origin string) []hub.Relay
}

// relay returns the relay of a new session. A guest gets none: it is no member, and the
// relay is not for everybody. A node that asks for itself needs none.
func (b *Broker) relay(s *session, now time.Time) Relay {
	if b.o.Relays == nil || s.dialer.node == s.node || !b.isMember(s.dialer.node, now) || !b.isMember(s.node, now) {
		return nil
	}
	return b.o.Relays(s.request.Session, s.dialer.node, s.node)
}

// doors returns what one end of a session is told of its relay.
func doors(s *session, role string, to *client) []hub.Relay {
	if s.relay == nil || to == nil {
		return nil
	}
	return s.relay.Doors(role, to.origin)
}
