package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	tp "mesh/proto/transport"
	"mesh/proto/xtest"
)

// taps collects the sockets that an endpoint has dialled.
type taps struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func (p *taps) on(s link.Sockets) link.Sockets {
	p.conns = make(map[net.Conn]struct{})
	dial := s.DialTCP
	s.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			p.mu.Lock()
			p.conns[conn] = struct{}{}
			p.mu.Unlock()
		}
		return conn, err
	}
	return s
}

// kill closes the sockets as the kernel does when their process ends.
func (p *taps) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range maps.Keys(p.conns) {
		conn.Close()
	}
}

// The listener's end of a link knows soon that the dialer's process is gone.
func TestTCPDialerGone(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		var dialed taps
		e := n.EndpointOn(t, xtest.NewKey(t), dialed.on(n.Sockets(t)))
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		echo(t, dl, ll)
		time.AfterFunc(10*time.Second, dialed.kill)
		_, err := ll.Read(make([]byte, 1))
		if !errors.Is(err, link.ErrBroken) {
			t.Errorf("read: got %v, want a broken link", err)
		}
		begun := time.Now()
		_, err = ll.Resume(t.Context())
		xtest.WantCode(t, "resume", err, proto.Truncated)
		if took := time.Since(begun); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("the dialer was waited for %s, want 5s", took)
		}
		ll.Close(err)
		dl.Close(nil)
		other, _ := n.Endpoint(t)
		s.dial(t, other, cred, proto.CapSend) // the place is free
	})
}

// The listener's end waits for a dialer that is only silent.
func TestTCPDialerComesBack(t *testing.T) {
	t.Parallel()
	for _, watches := range []bool{false, true} {
		overTCP(t, func(t *testing.T, n *linktest.Net) {
			s := newSite(t, n, proto.AllCaps, 1)
			cred, _ := s.issue(t, proto.CapSend, 0, 0)
			e, _ := n.Endpoint(t)
			dl, ll := s.dial(t, e, cred, proto.CapSend)
			n.Cut()
			time.AfterFunc(30*time.Second, n.Heal)
			begun := time.Now()
			var wg sync.WaitGroup
			resume := func(l **link.Link) {
				wg.Go(func() {
					if _, err := (*l).Read(make([]byte, 1)); !errors.Is(err, link.ErrBroken) {
						t.Errorf("read: got %v, want a broken link", err)
					}
					next, err := (*l).Resume(t.Context())
					if err != nil {
						t.Errorf("resume: %v", err)
						return
					}
					*l = next
				})
			}
			if watches {
				watched := dl
				wg.Go(func() { watched.Watch(t.Context(), nil) })
			}
			resume(&dl)
			resume(&ll)
			wg.Wait()
			if took := time.Since(begun); took < 30*time.Second || took > 30*time.Second+proto.DialTimeout {
				t.Errorf("resumed after %s, want 30s and what one more dial takes", took)
			}
			if !t.Failed() {
				echo(t, dl, ll)
			}
			dl.Close(nil)
			ll.Close(nil)
		})
	}
}

// spoiler corrupts one bit of the next write or read, once it is armed: in the byte at
// an offset, or in the last byte if there are fewer.
type spoiler struct {
	net.Conn
	write, read *atomic.Bool
	at          int
}

func (s spoiler) Write(p []byte) (int, error) {
	if len(p) > 0 && s.write.CompareAndSwap(true, false) {
		p = bytes.Clone(p)
		p[min(s.at, len(p)-1)] ^= 1
	}
	return s.Conn.Write(p)
}

func (s spoiler) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 && s.read.CompareAndSwap(true, false) {
		p[min(s.at, n-1)] ^= 1
	}
	return n, err
}

// A bit that the network has altered, wherever in a record, breaks a link at both ends,
// directly and through a relay, and the transfer goes on over another link.
func TestAlteredRecords(t *testing.T) {
	t.Parallel()
	for _, relayed := range []bool{false, true} {
		for _, dialed := range []bool{false, true} {
			for _, at := range []int{0, 1, 2, 3, 4, 5, 1 << 20} {
				t.Run(fmt.Sprintf("relayed %v, to the listener %v, byte %d", relayed, dialed, at), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { testAltered(t, relayed, dialed, at) })
				})
			}
		}
	}
}

func testAltered(t *testing.T, relayed, dialed bool, at int) {
	t.Helper()
	n := &linktest.Net{Latency: latency, TCP: true}
	s := newSite(t, n, proto.AllCaps, 1)
	cred, _ := s.issue(t, proto.CapSend, 0, 0)
	var write, read atomic.Bool
	spoil := func(conn net.Conn) net.Conn { return spoiler{conn, &write, &read, at} }
	sockets := n.Sockets(t)
	dial := sockets.DialTCP
	sockets.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return spoil(conn), err
	}
	target := s.target(cred, proto.CapSend)
	if relayed {
		route := serveRelay(t, n, s).Route()
		join := route.Dial
		route.Dial = func(ctx context.Context) (tp.Carrier, error) {
			c, err := join(ctx)
			if err == nil {
				c.Conn = spoil(c.Conn)
			}
			return c, err
		}
		all := func() <-chan path.Route { return routes(route) }
		target.Addrs, target.Routes, target.Meeting = nil, all(), metBy{all}
	}
	dl, err := n.EndpointOn(t, xtest.NewKey(t), sockets).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	ll := s.accept(t)
	echo(t, dl, ll)
	writer, armed := ll, &read
	if dialed {
		writer, armed = dl, &write
	}
	armed.Store(true)
	if _, err := writer.Write([]byte("spoiled")); err != nil {
		t.Errorf("write: %v", err)
	}
	dl, ll = resumeBoth(t, dl, ll)
	echo(t, dl, ll)
	dl.Close(nil)
	ll.Close(nil)
}
