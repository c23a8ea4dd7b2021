package linktest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mesh/proto/path"
	"mesh/proto/transport"
)

// Relay joins streams of a dialer and a listener, one with the other, as a relay of a
// hub does. It knows one session.
type Relay struct {
	// Name is in the path of its connections.
	Name string

	net  *Net
	addr net.Addr
	held atomic.Bool
	wg   sync.WaitGroup

	mu    sync.Mutex
	down  bool
	ends  [2]roleState // of the dialer, and of the listener
	conns map[*stream]struct{}
}

// roleState is what the relay knows of one role.
type roleState struct {
	waiting []*member
	left    time.Time // since when; zero if the last connection did not end by itself
}

// member is one connection to the relay.
type member struct {
	role   int
	at     *stream       // at the relay
	joined chan struct{} // closed when it has its other end
	lost   chan struct{} // closed when the relay is killed
}

const (
	dialer = iota
	listener
)

// Relay returns a new relay.
func (n *Net) Relay(t testing.TB) *Relay {
	t.Helper()
	n.mu.Lock()
	n.changed.L = &n.mu
	n.mu.Unlock()
	r := &Relay{Name: "relay.example:443", net: n, addr: &net.TCPAddr{IP: n.host(), Port: 443}, conns: make(map[*stream]struct{})}
	t.Cleanup(func() {
		r.Kill()
		r.wg.Wait()
	})
	return r
}

// Kill ends the relay: it resets its connections, and refuses others until Start.
func (r *Relay) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
	for i := range r.ends {
		for _, m := range r.ends[i].waiting {
			close(m.lost)
		}
		r.ends[i] = roleState{}
	}
	for s := range r.conns {
		s.reset()
	}
}

// Start begins a relay that was killed anew. It remembers nothing.
func (r *Relay) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = false
}

// Cut stops the streams to the relay until Heal. No byte is lost.
func (r *Relay) Cut() { r.hold(true) }

// Heal ends a Cut.
func (r *Relay) Heal() { r.hold(false) }

func (r *Relay) hold(on bool) {
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	r.held.Store(on)
	r.net.wakeLocked()
}

// Route returns the dialer's way through the relay.
func (r *Relay) Route() path.Route {
	p := path.Path{Kind: path.Relay, Proto: "tcp", Relay: r.Name}
	return path.Route{Path: p, Dial: func(ctx context.Context) (transport.Carrier, error) { return r.join(ctx, dialer) }}
}

// Taker is an endpoint that listens.
type Taker interface {
	Take(transport.Carrier) error
}

// Serve keeps a connection of the listener waiting at the relay, and hands each that the
// relay has joined to the endpoint. It blocks until ctx ends.
func (r *Relay) Serve(ctx context.Context, e Taker) {
	for ctx.Err() == nil {
		c, err := r.join(ctx, listener)
		if err == nil {
			_ = e.Take(c) // closed if nobody listens
			continue
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// join connects to the relay and waits for the other end.
func (r *Relay) join(ctx context.Context, role int) (transport.Carrier, error) {
	select { // the connection, the permit, and the signature
	case <-time.After(6 * r.net.Latency):
	case <-ctx.Done():
		return transport.Carrier{}, ctx.Err()
	}
	own, m, err := r.admit(role)
	if err != nil {
		return transport.Carrier{}, err
	}
	select {
	case <-m.joined:
		return r.carrier(own, role), nil
	case <-m.lost:
		own.Close()
		return transport.Carrier{}, syscall.ECONNRESET
	case <-ctx.Done():
		r.withdraw(m)
		own.Close()
		return transport.Carrier{}, ctx.Err()
	}
}

func (r *Relay) carrier(own *stream, role int) transport.Carrier {
	return transport.Carrier{
		Conn:      &relayConn{stream: own},
		Path:      path.Path{Kind: path.Relay, Proto: "tcp", Relay: r.Name},
		Source:    "peer",
		LeftSince: func() time.Time { return r.leftSince(1 - role) },
	}
}

// leftSince returns since when a role has left. The relay must be told to wait for it, as
// ends that have lost their connection do; a relay that is down says nothing.
func (r *Relay) leftSince(role int) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ends[role].left
}

// admit takes a connection in, and joins it if the other end is waiting.
func (r *Relay) admit(role int) (own *stream, m *member, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	own, at := r.net.connect(&net.TCPAddr{IP: net.IPv4(203, 0, 113, byte(role+1)), Port: 40000}, r.addr, &r.held)
	r.conns[at] = struct{}{}
	m = &member{role: role, at: at, joined: make(chan struct{}), lost: make(chan struct{})}
	r.ends[role].left = time.Time{}
	other := &r.ends[1-role]
	if len(other.waiting) == 0 {
		r.ends[role].waiting = append(r.ends[role].waiting, m)
		return own, m, nil
	}
	first := other.waiting[0]
	other.waiting = other.waiting[1:]
	close(m.joined)
	close(first.joined)
	r.wg.Go(func() { r.glue(m, first) })
	r.wg.Go(func() { r.glue(first, m) })
	return own, m, nil
}

func (r *Relay) withdraw(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, m.at)
	own := &r.ends[m.role]
	own.waiting = slices.DeleteFunc(own.waiting, func(other *member) bool { return other == m })
}

// glue copies what one end sends to the other.
func (r *Relay) glue(from, to *member) {
	_, err := io.Copy(struct{ io.Writer }{to.at}, struct{ io.Reader }{from.at})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		_ = to.at.CloseWrite()
		if !r.down {
			r.ends[from.role].left = time.Now()
		}
		return
	}
	if !errors.Is(err, syscall.EPIPE) { // the other direction tells more
		to.at.reset()
	}
	from.at.reset()
	delete(r.conns, from.at)
	delete(r.conns, to.at)
}

// relayConn is an end of a stream to a relay.
type relayConn struct {
	*stream
	resets atomic.Bool
}

// SetLinger makes Close reset the connection.
func (c *relayConn) SetLinger(int) error {
	c.resets.Store(true)
	return nil
}

func (c *relayConn) Close() error {
	if c.resets.Load() {
		c.reset()
		return nil
	}
	return c.stream.Close()
}
