package path_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/transport"
	"mesh/proto/xtest"
)

// asPunched returns the route of a relay as one through a hole in a NAT.
func asPunched(r path.Route) path.Route {
	p := path.Path{Kind: path.Punched, Proto: "tcp4"}
	return path.Route{Path: p, Dial: func(ctx context.Context) (transport.Carrier, error) {
		c, err := r.Dial(ctx)
		c.Path = p
		return c, err
	}}
}

// A stream that exists wins as a direct connection does: it waits for nothing, and a relay
// waits for it.
func TestPunchedRoute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		punchedIn time.Duration
		want      path.Kind
		took      time.Duration
	}{
		{"at once", 0, path.Punched, 20 * time.Millisecond},
		{"after the relay", 100 * time.Millisecond, path.Punched, 120 * time.Millisecond},
		{"too late", 300 * time.Millisecond, path.Relay, 210 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: time.Millisecond, TCP: true}
				p := newRelayedPeer(t, n)
				e := open(t, xtest.NewKey(t), n.Sockets(t))
				punched := later(c.punchedIn, asPunched(p.relay.Route()))
				begun := time.Now()
				got, err := path.Dial(t.Context(), e, path.Target{ID: p.id, Routes: closed(p.relay.Route(), punched)})
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close(proto.OK.Wire(), "", errOver)
				if kind := path.Of(e, got).Kind; kind != c.want {
					t.Errorf("got a path of kind %s, want %s", kind, c.want)
				}
				if took := time.Since(begun); took > c.took {
					t.Errorf("took %s, want at most %s", took, c.took)
				}
			})
		})
	}
}

var errOver = errors.New("over")

// Whatever answers a route of a kind that nobody vouches for is a stranger.
func TestStrangerBehindAPunchedRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: time.Millisecond, TCP: true}
		p := newRelayedPeer(t, n)
		e := open(t, xtest.NewKey(t), n.Sockets(t))
		_, err := path.Dial(t.Context(), e, path.Target{ID: xtest.NewKey(t).ID(), Given: true, Routes: closed(asPunched(p.relay.Route()))})
		xtest.WantCode(t, "dial", err, proto.Unreachable)
	})
}

// A dial for a better path dials nothing that is not better.
func TestDialAbove(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		above path.Kind
		want  path.Kind // "" for none
	}{{path.Relay, path.LAN}, {path.Tunnel, path.LAN}, {path.Direct, path.LAN}, {path.Punched, path.LAN}, {path.LAN, ""}} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: time.Millisecond, Both: true}
			p := newRelayedPeer(t, n)
			e := open(t, xtest.NewKey(t), n.Sockets(t))
			routes := closed(p.relay.Route(), asPunched(p.relay.Route()))
			got, err := path.Dial(t.Context(), e, path.Target{ID: p.id, Addrs: []string{p.addr}, Routes: routes, Above: c.above})
			if c.want == "" {
				xtest.WantCode(t, "dial", err, proto.Unreachable)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close(proto.OK.Wire(), "", errOver)
			if kind := path.Of(e, got).Kind; kind != c.want {
				t.Errorf("above %s: got a path of kind %s, want %s", c.above, kind, c.want)
			}
		})
	}
}
