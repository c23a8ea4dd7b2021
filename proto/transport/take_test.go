package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/linktest"
	"mesh/proto/transport"
	"mesh/proto/xtest"
)

// spy is a stream whose end is told.
type spy struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (s *spy) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

// silent returns a carrier at whose other end nobody says anything.
func silent(source string) (transport.Carrier, *spy) {
	a, _ := net.Pipe()
	s := &spy{Conn: a, closed: make(chan struct{})}
	return transport.Carrier{Conn: s, Path: transport.Path{Kind: transport.Relay, Proto: "tcp", Relay: "r"}, Source: source}, s
}

func isClosed(s *spy) bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func TestTakeWithoutListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{TCP: true}
		e, _ := n.Endpoint(t)
		c, s := silent("bob")
		if err := e.Take(c); !errors.Is(err, transport.ErrNotListening) || !isClosed(s) {
			t.Errorf("take: got %v, closed %v; want %v and a closed carrier", err, isClosed(s), transport.ErrNotListening)
		}
	})
}

// Carriers are counted by who is at their other end, and have no longer than other
// connections to say who they are.
func TestTakeLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{TCP: true}
		e, _ := n.Endpoint(t)
		l, err := e.Endpoint.Listen(func(identity.ID) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = l.Serve(ctx, func(ctx context.Context, in transport.Incoming) {
				ctx, cancel := context.WithDeadline(ctx, in.Due())
				defer cancel()
				_, _ = in.Accept(ctx)
			})
		})
		synctest.Wait()
		take := func(source string) *spy {
			c, s := silent(source)
			if err := e.Take(c); err != nil {
				t.Fatalf("take: %v", err)
			}
			return s
		}
		honest := take("bob")
		var flood []*spy
		for range proto.MaxSilent {
			flood = append(flood, take("mallory"))
		}
		synctest.Wait()
		if !isClosed(flood[0]) || isClosed(flood[1]) || isClosed(honest) {
			t.Errorf("given up: first of the flood %v, second %v, the honest one %v; want the first alone", isClosed(flood[0]), isClosed(flood[1]), isClosed(honest))
		}
		<-time.After(proto.HelloTimeout + time.Second)
		if !isClosed(honest) {
			t.Errorf("a silent carrier is open after %s", proto.HelloTimeout)
		}
		stop()
		wg.Wait()
	})
}

// What a relay does to a stream breaks the connection, whatever the error is. Only the
// peer's own messages, inside TLS, say anything else.
func TestCarrierBreaks(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{
		"end":            io.EOF,
		"in the middle":  io.ErrUnexpectedEOF,
		"closed":         net.ErrClosed,
		"with a code":    proto.Errorf(proto.Denied, "the relay refuses"),
		"without a code": errors.New("websocket: bad frame"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dialed, accepted, fail := carried(t)
				fail(end)
				_, err := dialed.Read(make([]byte, 1))
				if err = transport.Explain(err); !errors.Is(err, transport.ErrBroken) {
					t.Errorf("read: got %v, want a broken link", err)
				}
				if transport.HungUp(dialed) {
					t.Error("the end of a relay counts as the peer's")
				}
				accepted.Close(proto.CodeBroken, "", errors.New("over"))
				dialed.Close(proto.CodeBroken, "", errors.New("over"))
			})
		})
	}
}

// failing is a stream whose reads fail from a moment on.
type failing struct {
	net.Conn
	mu  sync.Mutex
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	return n, err
}

// carried returns the ends of a connection over a carrier, and what makes the reads of
// the dialer's end fail.
func carried(t *testing.T) (dialed, accepted transport.Conn, fail func(error)) {
	t.Helper()
	n := &linktest.Net{TCP: true}
	listening, key := n.Endpoint(t)
	l, err := listening.Endpoint.Listen(func(identity.ID) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	conns := make(chan transport.Conn, 1)
	wg.Go(func() {
		_ = l.Serve(ctx, func(ctx context.Context, in transport.Incoming) {
			c, err := in.Accept(ctx)
			if err != nil {
				t.Error(err)
			}
			conns <- c
		})
	})
	synctest.Wait()
	a, b := net.Pipe()
	p := transport.Path{Kind: transport.Relay, Proto: "wss", Relay: "hub.example", Proxied: true}
	if err := listening.Take(transport.Carrier{Conn: b, Path: p, Source: "dialer"}); err != nil {
		t.Fatal(err)
	}
	f := &failing{Conn: a}
	dialing, err := transport.Open(xtest.NewKey(t), transport.Sockets{}, nil) // a relay needs no socket of its own
	if err != nil {
		t.Fatal(err)
	}
	dialed, err = dialing.ConnectOver(t.Context(), transport.Carrier{Conn: f, Path: p}, key.ID())
	if err != nil {
		t.Fatal(err)
	}
	accepted = <-conns
	for _, c := range []transport.Conn{dialed, accepted} {
		if got, want := c.Path().String(), "relay wss hub.example via proxy"; got != want {
			t.Errorf("path is %q, want %q", got, want)
		}
	}
	return dialed, accepted, func(err error) {
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
		b.Close()
	}
}
