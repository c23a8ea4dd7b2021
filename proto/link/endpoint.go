package link

import (
	"log/slog"

	"mesh/proto/identity"
	"mesh/proto/transport"
)

// Sockets are what an endpoint has of the network.
type Sockets = transport.Sockets

// Endpoint is this process on the network, and the links that it makes.
type Endpoint struct {
	*transport.Endpoint
	// Takes reports whether its listeners take a kind of transfer, asked for each
	// peer that comes. It is set before Listen; nil for pipes alone.
	Takes func(kind string) bool
	// MaxPerPeer is how many places of its listeners one node may hold at a time.
	// It is set before Listen; 0 for all of them.
	MaxPerPeer int

	key   *identity.Key
	log   *slog.Logger
	asked unanswered
}

// Open makes an endpoint of sockets, which it owns from then on. What befalls
// it and who is turned away goes to log.
func Open(key *identity.Key, sockets Sockets, log *slog.Logger) (*Endpoint, error) {
	e, err := transport.Open(key, sockets, log)
	if err != nil {
		return nil, err
	}
	return &Endpoint{Endpoint: e, key: key, log: log}, nil
}

// keep takes on a link whose peer has proven itself.
func (e *Endpoint) keep(l *Link) *Link {
	e.Keep(l.conn, func() { l.closeLive(transport.ErrGone) }, l.Break)
	return l
}
