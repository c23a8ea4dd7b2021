package link_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A man in the middle that terminates QUIC on both sides can only show its own key.
func TestManInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)

		cert := certificate(t, xtest.NewKey(t))
		up := dialRaw(t, n, s, tlsConf(cert))
		tr := &quic.Transport{Conn: n.Conn(t)}
		t.Cleanup(func() { tr.Close() })
		ql, err := tr.Listen(tlsConf(cert), &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var saw bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() {
			for {
				down, err := ql.Accept(ctx)
				if err != nil {
					return
				}
				wg.Go(func() {
					there, err := down.AcceptStream(ctx)
					if err != nil {
						return
					}
					onwards, err := up.OpenStreamSync(ctx)
					if err != nil {
						return
					}
					wg.Go(func() { _, _ = io.Copy(there, onwards) })
					buf := make([]byte, 4096)
					for {
						k, err := there.Read(buf)
						mu.Lock()
						saw.Write(buf[:k])
						mu.Unlock()
						if err != nil {
							return
						}
						if _, err := onwards.Write(buf[:k]); err != nil {
							return
						}
					}
				})
			}
		})
		target := s.target(cred, proto.CapSend)
		target.Addrs = []string{tr.Conn.LocalAddr().String()}
		_, err = e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial through the relay", err, proto.Identity)
		s.acceptNone(t)
		mu.Lock()
		defer mu.Unlock()
		if saw.Len() != 0 {
			t.Errorf("relay saw %q, want nothing", saw.Bytes())
		}
		if bytes.Contains(saw.Bytes(), cred.Secret) {
			t.Error("relay saw the secret")
		}
		if got := s.asked.Load(); got != 0 {
			t.Errorf("listener got %d P2P_HELLOs, want none", got)
		}
		up.CloseWithError(0, "")
	})
}

// Even a dialer that was given the pin of a man in the middle sends it nothing that it
// can use at the listener.
func TestManInTheMiddleWithItsPin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := xtest.NewKey(t)
		up := dialRaw(t, n, s, tlsConf(certificate(t, key)))
		answered := make(chan wire.Type, 1)
		addr := serveRaw(t, n, tlsConf(certificate(t, key)), func(ctx context.Context, conn *quic.Conn) {
			down, err := conn.AcceptStream(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			_, body, err := wire.ReadFrame(down, wire.TypeHello)
			if err != nil {
				t.Error(err)
				return
			}
			if bytes.Contains(body, cred.Secret) {
				t.Error("relay saw the secret")
			}
			onwards, err := up.OpenStreamSync(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			frame := append(wire.AppendHeader(nil, wire.Header{Type: wire.TypeHello, Bytes: len(body)}), body...)
			if _, err := onwards.Write(frame); err != nil {
				t.Error(err)
			}
			typ, body, err := wire.ReadFrame(onwards, wire.TypeOK, wire.TypeDeny)
			if err != nil {
				t.Error(err)
			}
			answered <- typ
			_, _ = down.Write(append(wire.AppendHeader(nil, wire.Header{Type: typ, Bytes: len(body)}), body...))
			<-conn.Context().Done()
		})
		target := s.target(cred, proto.CapSend)
		target.ID, target.Addrs = key.ID(), []string{addr}
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial of the relay", err, proto.Denied)
		if got := <-answered; got != wire.TypeDeny {
			t.Errorf("listener answered the relay with %s, want P2P_DENY", got)
		}
		s.acceptNone(t)
		up.CloseWithError(0, "")
		s.dial(t, e, cred, proto.CapSend)
	})
}

// A valid P2P_HELLO is denied on any other connection, even on one with the same
// dialer's key.
func TestStolenProof(t *testing.T) {
	t.Parallel()
	for _, sameKey := range []bool{false, true} {
		t.Run(fmt.Sprintf("own key %v", sameKey), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				victim := xtest.NewKey(t)
				honest := dialRaw(t, n, s, tlsConf(certificate(t, victim)))
				_, frame := helloFor(t, bindingOf(t, honest, victim.ID(), s.key.ID()), cred, proto.CapSend)

				thief := xtest.NewKey(t)
				if sameKey {
					thief = victim
				}
				conn := dialRaw(t, n, s, tlsConf(certificate(t, thief)))
				_, typ, body, err := say(t, conn, frame)
				if want := `{"class":"denied"}`; err != nil || typ != wire.TypeDeny || string(body) != want {
					t.Errorf("thief was answered %s %s (%v), want P2P_DENY %s", typ, body, err, want)
				}
				wantClosed(t, conn, proto.HelloTimeout, proto.Denied)
				s.acceptNone(t)

				_, typ, body, err = say(t, honest, frame) // the token is not claimed
				if err != nil || typ != wire.TypeOK {
					t.Errorf("true dialer was answered %s %s (%v), want P2P_OK", typ, body, err)
				}
				if l := s.accept(t); l.Peer != victim.ID() {
					t.Errorf("listener accepted %s, want %s", l.Peer.Short(), victim.ID().Short())
				}
				honest.CloseWithError(proto.CodeBase, "")
			})
		})
	}
}
