package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// accept closes every link that comes, and returns their peers' addresses.
func accept(t *testing.T, w *node.Waiter) <-chan *link.Link {
	t.Helper()
	links := make(chan *link.Link, 8) // the goroutine sends; never closed
	go func() {
		for {
			l, err := w.Accept(t.Context())
			if err != nil {
				return
			}
			links <- l
		}
	}()
	return links
}

// A node dials and waits on the same UDP port, whichever comes first.
func TestOneSocket(t *testing.T) {
	t.Parallel()
	for _, waitsFirst := range []bool{true, false} {
		quic := func(o *node.Options) { o.Via.Transport = proto.ViaQUIC }
		far, n := newNode(t, nil), newNode(t, quic)
		links := accept(t, far.wait(t, oneToken()))
		if waitsFirst {
			n.wait(t, oneToken())
		}
		var from string
		for range 2 {
			l, err := n.Dial(t.Context(), far.peer(t, 0, n), send)
			if err != nil {
				t.Fatal(err)
			}
			other := <-links
			got := other.Addr().String()
			if from != "" && got != from {
				t.Errorf("waits first %v: got dials from %s and %s, want one socket", waitsFirst, from, got)
			}
			from = got
			closeBoth(l, other)
		}
		if !waitsFirst {
			n.wait(t, oneToken())
		}
		addr := n.events.events(t, "listening")[0]["addr"].(string)
		if portOf(t, addr) != portOf(t, from) {
			t.Errorf("waits first %v: got dials from %s, and a listener at %s, want one port", waitsFirst, from, addr)
		}
		back, err := far.Dial(t.Context(), n.peer(t, 0, far), send)
		if err != nil {
			t.Errorf("waits first %v: dial back: %v", waitsFirst, err)
			continue
		}
		go back.Close(nil)
	}
}

// A TCP listener that comes after a dial has the port of the UDP socket. Another
// process may have that port by chance.
func TestWaitAfterDial(t *testing.T) {
	t.Parallel()
	far := newNode(t, nil)
	links := accept(t, far.wait(t, oneToken()))
	for range 16 {
		n := newNode(t, nil)
		l, err := n.Dial(t.Context(), far.peer(t, 0, n), send)
		if err != nil {
			t.Fatal(err)
		}
		closeBoth(l, <-links)
		w, err := n.Wait(node.Offer{Max: 1})
		if proto.CodeOf(err) == proto.IO {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		c, err := net.Dial("tcp", n.events.events(t, "listening")[0]["addr"].(string))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		return
	}
	t.Error("got no TCP port that is that of the UDP socket")
}

// A token of this node is dialled with another key, in this process and in another
// one with the same key; a name that means this node is refused.
func TestDialSelf(t *testing.T) {
	t.Parallel()
	listener := newNode(t, nil)
	other := newNode(t, func(o *node.Options) { o.Key = listener.Key })
	links := accept(t, listener.wait(t, oneToken()))
	for _, n := range []*testNode{listener, other} {
		var seen identity.ID
		for range 2 {
			l, err := n.Dial(t.Context(), listener.peer(t, 0, n), send)
			if err != nil {
				t.Fatal(err)
			}
			other := <-links
			got := other.Peer
			if got == listener.Key.ID() || seen != (identity.ID{}) && got != seen {
				t.Errorf("got %s and then %s, want one other key", seen.Short(), got.Short())
			}
			seen = got
			closeBoth(l, other)
		}
	}
	self := node.Peer{Peer: identity.Peer{Name: "me", ID: listener.Key.ID(), Addrs: []string{"192.0.2.1:1"}}, Credential: token.KeyCredential(), Caps: proto.AllCaps}
	_, err := listener.Dial(t.Context(), self, send)
	xtest.WantCode(t, "a name", err, proto.Identity)
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	listener, other, dialer := newNode(t, nil), newNode(t, nil), newNode(t, nil)
	o := oneToken()
	o.Max = 1
	links := accept(t, listener.wait(t, o))
	addrs := listener.token(t, 0).Addrs
	free, err := net.Listen("tcp", loopback) // nobody is there once it is closed
	if err != nil {
		t.Fatal(err)
	}
	nobody := []string{free.Addr().String()}
	_ = free.Close()
	capability := func(n *testNode, caps proto.Caps, holder identity.ID, ttl time.Duration, addrs []string) node.Peer {
		tok, err := token.NewCapability(n.Key, caps, ttl, 0, holder, addrs)
		p, err := dialer.Peer(t.Context(), node.PeerText{Text: encode(t, tok, err)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	anyone := identity.ID{}
	for _, tt := range []struct {
		what string
		peer node.Peer
		req  node.Request
		code proto.Code
		hint string
	}{
		{"the token does not allow it", capability(listener, proto.CapRecv, anyone, time.Hour, addrs), send, proto.Capability, "mesh-recv takes what its listener sends"},
		{"the listener does not grant it", capability(listener, proto.CapTTYView, anyone, time.Hour, addrs), node.Request{Want: proto.CapTTYView, Need: proto.CapTTYView}, proto.Capability, ""},
		{"another kind", capability(listener, proto.CapSend, anyone, time.Hour, addrs), node.Request{Want: proto.CapSend, Need: proto.CapSend, Kind: "files"}, proto.Declined, ""},
		{"an expired token", capability(listener, proto.CapSend, anyone, time.Nanosecond, addrs), send, proto.Denied, "the token expired at"},
		{"a token for another node", capability(listener, proto.CapSend, other.Key.ID(), time.Hour, addrs), send, proto.Denied, "alone, and this is"},
		{"a token of another listener", capability(other, proto.CapSend, anyone, time.Hour, addrs), send, proto.Identity, "ask for a new token"},
		{"nobody is there", capability(listener, proto.CapSend, anyone, time.Hour, nobody), send, proto.Unreachable, "the listener may have ended"},
		{"nobody comes", capability(listener, proto.CapSend, anyone, time.Hour, nobody), node.Request{Want: proto.CapSend, Need: proto.CapSend, Wait: 50 * time.Millisecond}, proto.Unreachable, "the listener may have ended"},
	} {
		if tt.what == "an expired token" {
			<-time.After(time.Until(tt.peer.Token.Expires)) // whole seconds, rounded up
		}
		_, err := dialer.Dial(t.Context(), tt.peer, tt.req)
		xtest.WantCode(t, tt.what, err, tt.code)
		if hints := strings.Join(proto.Hints(err), "\n"); !strings.Contains(hints, tt.hint) || tt.hint == "" && hints != "" {
			t.Errorf("%s: got hints %q, want %q", tt.what, hints, tt.hint)
		}
		if tt.what == "another kind" && !errors.Is(err, node.ErrKind) {
			t.Errorf("%s: got %v, want ErrKind", tt.what, err)
		}
	}

	l, err := dialer.Dial(t.Context(), listener.peer(t, 0, dialer), send)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dialer.Dial(t.Context(), listener.peer(t, 0, dialer), send)
	xtest.WantCode(t, "no free place", err, proto.Busy)

	// With a time to wait, a busy peer is dialled again until it has a place.
	freed := make(chan struct{}) // closed by the timer
	time.AfterFunc(100*time.Millisecond, func() {
		closeBoth(l, <-links)
		close(freed)
	})
	r := send
	r.Wait = time.Minute
	l, err = dialer.Dial(t.Context(), listener.peer(t, 0, dialer), r)
	if err != nil {
		t.Fatal(err)
	}
	<-freed
	closeBoth(l, <-links)

	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(stopped) })
	if _, err := dialer.Dial(ctx, capability(listener, proto.CapSend, anyone, time.Hour, nobody), r); !errors.Is(err, stopped) {
		t.Errorf("the context ends: got %v, want %v", err, stopped)
	}
}

// A listener whose time for the handshake ran out is dialled again, by a dialer that may wait.
func TestDialAfterTimeout(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	key := xtest.NewKey(t)
	e, err := transport.Open(key, transport.Sockets{TCP: l}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := e.Listen(func(identity.ID) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	answers := []proto.Code{proto.Timeout, proto.Timeout, proto.Declined}
	var dials atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = listener.Serve(ctx, func(ctx context.Context, in transport.Incoming) {
			conn, err := in.Accept(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			code := answers[min(int(dials.Add(1)), len(answers))-1]
			conn.Close(code.Wire(), code.String(), errors.New("closed"))
		})
	})
	defer wg.Wait()
	defer cancel()
	n := newNode(t, nil)
	tok, err := token.NewCapability(key, proto.CapSend, time.Hour, 0, identity.ID{}, []string{l.Addr().String()})
	p, err := n.Peer(t.Context(), node.PeerText{Text: encode(t, tok, err)})
	if err != nil {
		t.Fatal(err)
	}
	r := node.Request{Want: proto.CapSend, Need: proto.CapSend}
	_, err = n.Dial(t.Context(), p, r)
	xtest.WantCode(t, "one attempt", err, proto.Timeout)
	r.Wait = time.Minute
	_, err = n.Dial(t.Context(), p, r)
	xtest.WantCode(t, "with a time to wait", err, proto.Declined)
	if got := dials.Load(); got != int64(len(answers)) {
		t.Errorf("got %d dials, want %d", got, len(answers))
	}
}
