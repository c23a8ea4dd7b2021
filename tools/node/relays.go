package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/relay"
	"mesh/proto/transport"
)

// access is what a hub has given one end of a session: the doors of a relay, where the
// other end goes too, and the permit.
type access struct {
	client  relay.Client
	entries []relay.Entry
	peer    identity.ID
	refused atomic.Bool // the relay does not take the permit, or not any more

	mu   sync.Mutex
	left time.Time // since when the relay says that the other end has left; zero if it does not
}

// newAccess returns nil if the hub gives no relay, or this node uses none.
func (n *Node) newAccess(doors []hub.Relay, at hub.URL, peer identity.ID) *access {
	if len(doors) == 0 || n.options.Reach.NoRelay {
		return nil
	}
	a := &access{peer: peer, client: relay.Client{Key: n.Key, TLS: agent.TLSConfig(at), Proxy: n.options.Reach.Proxy, Log: n.Log}}
	for _, d := range doors {
		a.entries = append(a.entries, relay.Entry{URL: d.URL, Permit: d.Permit, MaxBPS: d.MaxBPS})
	}
	a.client.Dial = RelayDialer(a.entries, at)
	return a
}

// join joins the relay. It blocks until the other end is there.
func (a *access) join(ctx context.Context) (transport.Carrier, error) {
	c, err := a.client.Join(ctx, a.entries, a.note)
	if err != nil {
		if r, ok := errors.AsType[*relay.Refused](err); ok && r.Code != proto.Busy {
			a.refused.Store(true)
		}
		return transport.Carrier{}, err
	}
	p := path.Path{Kind: path.Relay, Proto: c.Door(), Relay: c.Relay(), Proxied: c.Proxied(), MaxBPS: c.MaxBPS()}
	return transport.Carrier{Conn: c, Path: p, Source: a.peer.String(), LeftSince: a.leftSince}, nil
}

// note notes what the relay says about the other end.
func (a *access) note(s relay.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case s != relay.Left:
		a.left = time.Time{}
	case a.left.IsZero():
		a.left = time.Now()
	}
}

func (a *access) leftSince() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

// route returns the way through the relay.
func (a *access) route() path.Route {
	host := a.entries[0].URL
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
	}
	return path.Route{Path: path.Path{Kind: path.Relay, Proto: relay.DoorTCP, Relay: host}, Dial: a.join}
}

// RelayDialer returns what connects to the doors of a relay, or to a proxy before them. A hub
// may not send this node to any address: that of a door is one at which a listener may be,
// or the hub's own.
func RelayDialer(entries []relay.Entry, at hub.URL) func(ctx context.Context, network, addr string) (net.Conn, error) {
	free := new(net.Dialer)
	local := proto.IsLoopbackHost(at.Name())
	checked := &net.Dialer{Control: func(_, addr string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil || !candidate.At(candidate.Host, candidate.TCP, ap, 0).Dialable(local) {
			return proto.Errorf(proto.Unreachable, "no relay may be at %s", addr)
		}
		return nil
	}}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		isDoor := slices.ContainsFunc(entries, func(e relay.Entry) bool { return doorAddr(e.URL) == addr })
		if isDoor && addr != doorAddr("wss://"+at.Host) {
			return checked.DialContext(ctx, network, addr)
		}
		return free.DialContext(ctx, network, addr)
	}
}

// doorAddr returns the HOST:PORT of a URL of a relay or a hub.
func doorAddr(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "443")
	}
	return host
}
