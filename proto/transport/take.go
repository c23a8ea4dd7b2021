package transport

import (
	"sync"

	"mesh/proto"
)

// taking hands carriers to the listener of an endpoint. The zero value is ready to
// use.
type taking struct {
	mu   sync.Mutex
	take func(Carrier, *place) // nil while nobody serves
}

// set returns when no call of the take before is running.
func (t *taking) set(take func(Carrier, *place)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take = take
}

// ErrNotListening is the error of [Endpoint.Take] while the endpoint does not listen.
var ErrNotListening = proto.Errorf(proto.Unreachable, "nobody listens here")

// Take makes the carrier of a peer that dials this node go the way of a TCP connection
// that was accepted, and begins its [proto.HelloTimeout]. It does not block. It takes
// over the carrier: if there is an error, it has closed it.
func (e *Endpoint) Take(c Carrier) error {
	err := e.taking.hand(e.halfOpen, c)
	if err != nil {
		c.Conn.Close()
	}
	return err
}

func (t *taking) hand(h *halfOpen, c Carrier) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.take == nil {
		return ErrNotListening
	}
	from := origin{name: c.Source}
	p, err := h.admitFrom(&h.silentTCP, sources{from, from, from}, func() { c.Conn.Close() })
	if err != nil {
		return err
	}
	t.take(c, p)
	return nil
}
