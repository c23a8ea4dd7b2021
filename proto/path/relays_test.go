package path_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/transport"
	"mesh/proto/xtest"
)

// relayedPeer is a peer that waits at a relay too.
type relayedPeer struct {
	peer
	relay *linktest.Relay
}

// newRelayedPeer returns a peer whose relay is reached after wait.
func newRelayedPeer(t *testing.T, n *linktest.Net) relayedPeer {
	t.Helper()
	key := xtest.NewKey(t)
	e := open(t, key, n.Sockets(t))
	serve(t, e)
	r := n.Relay(t)
	keepPlace(t, r, e)
	return relayedPeer{peer{key.ID(), e.Addr().String()}, r}
}

// serve accepts every connection.
func serve(t *testing.T, e *transport.Endpoint) {
	t.Helper()
	l, err := e.Listen(func(identity.ID) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = l.Serve(ctx, func(ctx context.Context, in transport.Incoming) {
			defer in.Release()
			if c, err := in.Accept(ctx); err == nil {
				_, _ = io.Copy(io.Discard, c)
				c.Close(proto.OK.Wire(), "", net.ErrClosed)
			}
		})
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
}

func keepPlace(t *testing.T, r *linktest.Relay, e linktest.Taker) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Serve(ctx, e) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	synctest.Wait()
}

// later returns a route that is dialled after a wait.
func later(wait time.Duration, w path.Route) path.Route {
	return path.Route{Path: w.Path, Dial: func(ctx context.Context) (transport.Carrier, error) {
		select {
		case <-time.After(wait):
			return w.Dial(ctx)
		case <-ctx.Done():
			return transport.Carrier{}, ctx.Err()
		}
	}}
}

func closed[T any](all ...T) <-chan T {
	c := make(chan T, len(all))
	for _, v := range all {
		c <- v
	}
	close(c)
	return c
}

// A connection through a relay is used as soon as nothing direct can come, and 200 ms
// after the start of the direct dials at the latest. Anything direct before wins.
func TestRelayIsHeld(t *testing.T) {
	t.Parallel()
	const rtt = 2 * time.Millisecond
	const nobody = "192.0.2.200:4600" // does not answer
	for _, c := range []struct {
		name     string
		addrs    []string      // "" for the peer's
		delay    time.Duration // of a direct SYN
		relayIn  time.Duration // until the relay's route is dialled
		refuses  bool
		want     path.Kind
		from, to time.Duration
	}{
		{name: "no direct address", want: path.Relay, to: 20 * time.Millisecond},
		{name: "no answer", addrs: []string{nobody}, want: path.Relay, from: 200 * time.Millisecond, to: 210 * time.Millisecond},
		{name: "refused", addrs: []string{""}, refuses: true, want: path.Relay, to: 20 * time.Millisecond},
		{name: "direct at once", addrs: []string{""}, want: path.LAN, to: 20 * time.Millisecond},
		{name: "direct after the relay", addrs: []string{""}, delay: 150 * time.Millisecond, want: path.LAN, from: 150 * time.Millisecond, to: 200 * time.Millisecond},
		{name: "direct too late", addrs: []string{""}, delay: 300 * time.Millisecond, want: path.Relay, from: 200 * time.Millisecond, to: 210 * time.Millisecond},
		{name: "relay later than that", addrs: []string{nobody}, relayIn: time.Second, want: path.Relay, from: time.Second, to: 1020 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: rtt / 2, TCP: true}
				p := newRelayedPeer(t, n)
				sockets := n.Sockets(t)
				dialTCP := sockets.DialTCP
				sockets.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if c.refuses {
						return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
					}
					select {
					case <-time.After(c.delay):
						return dialTCP(ctx, network, addr)
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				e := open(t, xtest.NewKey(t), sockets)
				var addrs []string
				for _, a := range c.addrs {
					if a == "" {
						a = p.addr
					}
					addrs = append(addrs, a)
				}
				begun := time.Now()
				got, err := path.Dial(t.Context(), e, path.Target{ID: p.id, Addrs: addrs, Given: true, Routes: closed(later(c.relayIn, p.relay.Route()))})
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(begun)
				if kind := path.Of(e, got).Kind; kind != c.want || took < c.from || took > c.to {
					t.Errorf("got a path of kind %s after %s, want %s after %s to %s", kind, took, c.want, c.from, c.to)
				}
				got.Close(proto.OK.Wire(), "", net.ErrClosed)
			})
		})
	}
}

// A candidate that arrives when the relay's connection is there gets no further time.
func TestRelayWaitsForNoLateCandidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: time.Millisecond, TCP: true}
		p := newRelayedPeer(t, n)
		e := open(t, xtest.NewKey(t), n.Sockets(t))
		late := make(chan candidate.Candidate)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(late)
			for i := range byte(16) {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
					return
				}
				addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 200 + i}), 4600)
				select {
				case late <- candidate.Candidate{Type: candidate.Host, Proto: candidate.TCP, Addr: addr.String()}:
				case <-ctx.Done():
					return
				}
			}
		})
		begun := time.Now()
		got, err := path.Dial(t.Context(), e, path.Target{ID: p.id, Candidates: late, Routes: closed(p.relay.Route())})
		cancel()
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 210*time.Millisecond {
			t.Errorf("the relay was used after %s, want at most 200 ms", took)
		}
		got.Close(proto.OK.Wire(), "", net.ErrClosed)
	})
}

// A direct connection that wins leaves the listener's place at the relay: the next dial
// finds another.
func TestRelayAfterDirect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: time.Millisecond, TCP: true}
		p := newRelayedPeer(t, n)
		e := open(t, xtest.NewKey(t), n.Sockets(t))
		for i, want := range []path.Kind{path.LAN, path.Relay, path.LAN, path.Relay} {
			target := path.Target{ID: p.id, Routes: closed(p.relay.Route())}
			if want == path.LAN {
				target.Addrs = []string{p.addr}
			}
			got, err := path.Dial(t.Context(), e, target)
			if err != nil {
				t.Fatalf("dial %d: %v", i, err)
			}
			if kind := path.Of(e, got).Kind; kind != want {
				t.Errorf("dial %d: got a path of kind %s, want %s", i, kind, want)
			}
			got.Close(proto.OK.Wire(), "", net.ErrClosed)
		}
	})
}

// A node with another key is the peer's own word only at an address that a person gave.
func TestStrangerAtARoute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		where func(*path.Target, relayedPeer)
		want  proto.Code
	}{
		{"given address", func(t *path.Target, p relayedPeer) { t.Addrs, t.Given = []string{p.addr}, true }, proto.Identity},
		{"address of a redial", func(t *path.Target, p relayedPeer) { t.Addrs = []string{p.addr} }, proto.Unreachable},
		{"candidate", func(t *path.Target, p relayedPeer) { t.Given, t.Candidates = true, closed(hostCandidate(p)) }, proto.Unreachable},
		{"candidate that is a given address too", func(t *path.Target, p relayedPeer) {
			t.Addrs, t.Given, t.Candidates = []string{p.addr}, true, closed(hostCandidate(p))
		}, proto.Identity},
		{"relay", func(t *path.Target, p relayedPeer) { t.Given, t.Routes = true, closed(p.relay.Route()) }, proto.Unreachable},
		{"relay beside a given address", func(t *path.Target, p relayedPeer) {
			t.Addrs, t.Given, t.Routes = []string{p.addr}, true, closed(p.relay.Route())
		}, proto.Identity},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: time.Millisecond, TCP: true}
				p := newRelayedPeer(t, n)
				e := open(t, xtest.NewKey(t), n.Sockets(t))
				target := path.Target{ID: xtest.NewKey(t).ID()}
				c.where(&target, p)
				_, err := path.Dial(t.Context(), e, target)
				xtest.WantCode(t, "dial", err, c.want)
				if err != nil && !strings.Contains(err.Error(), "another key") {
					t.Errorf("dial: got %q, want it to say that there is another key", err)
				}
			})
		})
	}
}

func hostCandidate(p relayedPeer) candidate.Candidate {
	return candidate.Candidate{Type: candidate.Host, Proto: candidate.TCP, Addr: p.addr}
}

// A relay that is not allowed is not dialled, and the error names it.
func TestRelayBarred(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"direct", "lan", "quic", "tcp,direct"} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: time.Millisecond, TCP: true}
			p := newRelayedPeer(t, n)
			e := open(t, xtest.NewKey(t), n.Sockets(t))
			_, err := path.Dial(t.Context(), e, path.Target{ID: p.id, Routes: closed(p.relay.Route()), Via: parseVia(t, via)})
			xtest.WantCode(t, "dial", err, proto.Unreachable)
			if want := "not tried: relay tcp relay.example:443"; err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("--via %s: got %q, want %q in it", via, err, want)
			}
		})
	}
}

// An error tells of the relay and of the direct way.
func TestRelayFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: time.Millisecond, TCP: true}
		p := newRelayedPeer(t, n)
		p.relay.Kill()
		sockets := n.Sockets(t)
		sockets.DialTCP = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		e := open(t, xtest.NewKey(t), sockets)
		_, err := path.Dial(t.Context(), e, path.Target{ID: p.id, Addrs: []string{p.addr}, Given: true, Routes: closed(p.relay.Route())})
		xtest.WantCode(t, "dial", err, proto.Unreachable)
		for _, want := range []string{p.addr, "nobody listens there", "relay tcp relay.example:443"} {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("dial: got %q, want %q in it", err, want)
			}
		}
	})
}
