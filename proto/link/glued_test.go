package link_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/token"
	tp "mesh/proto/transport"
	"mesh/proto/xtest"
)

// glue returns the ends of two TCP connections of the kernel, which it copies one into
// the other until kill resets them.
func glue(t *testing.T) (a, b net.Conn, kill func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var own, relays [2]*net.TCPConn
	for i := range own {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		own[i], relays[i] = c.(*net.TCPConn), s.(*net.TCPConn)
	}
	var wg sync.WaitGroup
	for i := range relays {
		wg.Go(func() {
			_, _ = relays[i].ReadFrom(relays[1-i])
			_ = relays[i].CloseWrite()
		})
	}
	kill = func() {
		for _, c := range relays {
			_ = c.SetLinger(0)
			c.Close()
		}
		wg.Wait()
	}
	t.Cleanup(kill)
	return own[0], own[1], kill
}

// A link runs over connections of the kernel that a relay has glued, between endpoints
// that have no socket of their own, and outlives them.
func TestGluedConnections(t *testing.T) {
	t.Parallel()
	open := func() (*link.Endpoint, *link.Listener, link.Target) {
		key := xtest.NewKey(t)
		e, err := link.Open(key, link.Sockets{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		l, err := e.Listen(link.ListenOptions{Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 2})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return e, l, link.Target{ID: key.ID(), Credential: token.KeyCredential(), Want: proto.CapSend, Need: proto.CapSend}
	}
	listening, listener, target := open()
	dialing, _, _ := open()
	kills := make(chan func(), 8)
	p := path.Path{Kind: path.Relay, Proto: "tcp", Relay: "relay.example:443"}
	route := path.Route{Path: p, Dial: func(context.Context) (tp.Carrier, error) {
		a, b, kill := glue(t)
		if err := listening.Take(tp.Carrier{Conn: b, Path: p, Source: "dialer"}); err != nil {
			a.Close()
			return tp.Carrier{}, err
		}
		kills <- kill
		return tp.Carrier{Conn: a, Path: p}, nil
	}}
	all := func() <-chan path.Route { return routes(route) }
	target.Meeting = metBy{all}
	var dl *link.Link
	for end := time.Now().Add(10 * time.Second); ; { // until the listener serves
		target.Routes = all()
		var err error
		if dl, err = dialing.Dial(t.Context(), target); err == nil {
			break
		}
		if !errors.Is(err, tp.ErrNotListening) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	ll, err := listener.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data := xtest.Random(8 << 20)
	for range 2 {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := dl.Write(data); err != nil {
				t.Errorf("write: %v", err)
			}
		})
		got := make([]byte, len(data))
		if _, err := io.ReadFull(ll, got); err != nil || string(got) != string(data) {
			t.Fatalf("read %d bytes (%v), want those that were sent", len(got), err)
		}
		wg.Wait()
		(<-kills)()
		dl, ll = resumeBoth(t, dl, ll)
	}
	echo(t, dl, ll)
	dl.Close(nil)
	ll.Close(nil)
}
