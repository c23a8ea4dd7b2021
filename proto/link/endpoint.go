package link

import (
	"log/slog"

	"mesh/proto/identity"
	"mesh/proto/transport"
)

// Sockets are the sockets of an endpoint.
type Sockets = transport.Sockets

// Endpoint is this process on the network, with the links that it makes. One
// endpoint is enough for a process: it may dial and listen any number of times at
// once, on the same UDP and TCP port.
type Endpoint struct {
	*transport.Endpoint

	key        *identity.Key
	log        *slog.Logger
	unanswered unanswered
	listeners  listeners
	sessions   sessions
}

// Open makes an endpoint of sockets, which it closes when it is closed.
func Open(key *identity.Key, sockets Sockets, log *slog.Logger) (*Endpoint, error) {
	e, err := transport.Open(key, sockets, log)
	if err != nil {
		return nil, err
	}
	return &Endpoint{Endpoint: e, key: key, log: log}, nil
}

// watchConn breaks a link of which both ends are authenticated when the peer's process
// seems to be gone or the endpoint closes.
func (l *Link) watchConn() {
	l.endpoint.Authenticated(l.conn, func() { l.Break(transport.ErrGone) }, l.Break)
}
