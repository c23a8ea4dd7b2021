package node_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/nat"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// needLAN skips the test on a machine that is in no private network with multicast.
func needLAN(t *testing.T) {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		const want = net.FlagUp | net.FlagMulticast
		if i.Flags&want != want || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && (p.Addr().IsPrivate() || p.Addr().IsLinkLocalUnicast())
		}) {
			return
		}
	}
	t.Skip("this machine is in no private network with multicast")
}

// overTCP makes a node use TCP alone, at all addresses: what cannot be reached fails at once.
func overTCP(o *node.Options) { o.Listen, o.Via = ":0", path.Via{Transport: proto.ViaTCP} }

// staleAddr is an address without a host, with the port of a listener.
func staleAddr(t *testing.T, n *testNode) string {
	t.Helper()
	at, _ := n.events.events(t, "listening")[0]["addr"].(string)
	return "255.255.255.255:" + portOf(t, at)
}

// A listener whose address in a token or in the address book is not its own any more.
func TestNearby(t *testing.T) {
	t.Parallel()
	needLAN(t)
	for _, via := range []string{"auto", proto.ViaQUIC, proto.ViaTCP, "lan"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			v, err := path.ParseVia(via)
			if err != nil {
				t.Fatal(err)
			}
			listener := newNode(t, func(o *node.Options) { o.Listen, o.Via = ":0", v })
			dialer := newNode(t, func(o *node.Options) { o.Listen, o.Via = ":0", v })
			w := listener.wait(t, oneToken())
			p := listener.peer(t, 0, dialer)
			p.Addrs = []string{staleAddr(t, listener)}
			request := send
			request.Wait = time.Minute // this machine may be busy
			accepted := make(chan *link.Link, 1)
			go func() {
				l, err := w.Accept(t.Context())
				if err != nil {
					t.Error(err)
				}
				accepted <- l
			}()
			l, err := dialer.Dial(t.Context(), p, request)
			if err != nil {
				t.Fatal(err)
			}
			defer closeBoth(l, <-accepted)
			if got := l.Path().Kind; got != path.LAN {
				t.Errorf("got a path of kind %s, want %s", got, path.LAN)
			}
		})
	}
}

// Neither end of a link uses the local networks against its settings, nor for addresses on
// this machine, nor for a listener at another port.
func TestNearbyIsNotAsked(t *testing.T) {
	t.Parallel()
	needLAN(t)
	off := func(o *node.Options) { overTCP(o); o.Reach.NoLAN = true }
	for _, tt := range []struct {
		name             string
		listener, dialer func(*node.Options)
		addr             func(stale string) string
	}{
		{"the listener's lan = false", off, overTCP, nil},
		{"the dialer's lan = false", overTCP, off, nil},
		{"a listener on loopback", nil, overTCP, nil},
		{"an address on this machine", overTCP, overTCP, func(string) string { return "127.0.0.1:1" }},
		{"another port", overTCP, overTCP, func(string) string { return "255.255.255.255:1" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			listener, dialer := newNode(t, tt.listener), newNode(t, tt.dialer)
			listener.wait(t, oneToken())
			p := listener.peer(t, 0, dialer)
			p.Addrs = []string{staleAddr(t, listener)}
			if tt.addr != nil {
				p.Addrs[0] = tt.addr(p.Addrs[0])
			}
			_, err := dialer.Dial(t.Context(), p, send)
			xtest.WantCode(t, tt.name, err, proto.Unreachable)
		})
	}
}

// Another node answers in the name of the one that is meant.
func TestNearbyStranger(t *testing.T) {
	t.Parallel()
	needLAN(t)
	stranger, dialer := newNode(t, overTCP), newNode(t, overTCP)
	stranger.wait(t, oneToken())
	meant := xtest.NewKey(t).ID()
	addr := staleAddr(t, stranger)
	at := netip.MustParseAddrPort(addr)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		(*nat.Mux)(nil).AnswerLAN(ctx, nat.LANOptions{ID: meant, TCP: at.Port()})
	}()
	for range 20 {
		found, err := nat.AskLAN(t.Context(), meant, []uint16{at.Port()})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := <-found; ok {
			break
		}
	}
	p := node.Peer{Peer: identity.Peer{ID: meant, Addrs: []string{addr}}, Credential: token.KeyCredential(), Caps: proto.AllCaps}
	_, err := dialer.Dial(t.Context(), p, send)
	xtest.WantCode(t, "a stranger", err, proto.Unreachable)
}
