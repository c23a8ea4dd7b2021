package link_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/udp"
	"mesh/proto/wire"
)

const latency = 5 * time.Millisecond

// site is a node that listens, with a registry in a folder of its own. It is
// its own guard, to count what it is asked.
type site struct {
	endpoint *link.Endpoint
	listener *link.Listener
	registry *token.Registry
	key      *identity.Key
	dir      string
	asked    atomic.Int32
	hold     chan struct{} // if not nil, answers wait until it is closed
}

func (s *site) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	s.asked.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	return s.registry.Find(h, dialer)
}

func (s *site) Withdrawn(dialer identity.ID, id *token.ID, granted proto.Caps) bool {
	return s.registry.Withdrawn(dialer, id, granted)
}

func newSite(t *testing.T, n *linktest.Net, offer proto.Caps, places int) *site {
	t.Helper()
	e, key := n.Endpoint(t)
	s := &site{endpoint: e, key: key, dir: t.TempDir()}
	s.registry = token.NewRegistry(key, identity.Book{Dir: s.dir})
	var err error
	if s.listener, err = e.Listen(s, offer, places); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.listener.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) addr() string { return s.endpoint.Addr().String() }

// issue returns the credential of a new session token, and the token.
func (s *site) issue(t *testing.T, caps proto.Caps, ttl time.Duration, uses uint16) (token.Credential, token.Token) {
	t.Helper()
	tok, err := s.registry.Issue(caps, ttl, uses, []string{s.addr()})
	if err != nil {
		t.Fatal(err)
	}
	return tok.Credential(), tok
}

func (s *site) target(cred token.Credential, caps proto.Caps) link.Target {
	return link.Target{ID: s.key.ID(), Addrs: []string{s.addr()}, Credential: cred, Want: caps, Need: caps}
}

func (s *site) accept(t *testing.T) *link.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := s.listener.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// acceptNone fails the test if a link comes within a second.
func (s *site) acceptNone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if l, err := s.listener.Accept(ctx); err == nil {
		t.Errorf("listener accepted a link of %s, want none", l.Peer.Short())
	}
}

// dial makes both ends of a link.
func (s *site) dial(t *testing.T, from *link.Endpoint, cred token.Credential, caps proto.Caps) (dialer, listener *link.Link) {
	t.Helper()
	dialer, err := from.Dial(t.Context(), s.target(cred, caps))
	if err != nil {
		t.Fatal(err)
	}
	return dialer, s.accept(t)
}

// echo checks that a link carries bytes both ways.
func echo(t *testing.T, a, b *link.Link) {
	t.Helper()
	for _, ends := range [][2]*link.Link{{a, b}, {b, a}} {
		want := []byte("over the link")
		if _, err := ends[0].Write(want); err != nil {
			t.Fatalf("write: %v", err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(ends[1], got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %q (%v), want %q", got, err, want)
		}
	}
}

func wantCode(t *testing.T, what string, err error, want proto.Code) {
	t.Helper()
	if got := proto.CodeOf(err); got != want {
		t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
	}
}

func newKey(t *testing.T) *identity.Key {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDialAndGrants(t *testing.T) {
	t.Parallel()
	const both = proto.CapSend | proto.CapRecv
	for _, c := range []struct {
		name                            string
		offer, allowed, want, need, got proto.Caps
		code                            proto.Code
	}{
		{name: "all of it", offer: both, allowed: both, want: both, need: both, got: both},
		{name: "less is allowed", offer: both, allowed: proto.CapSend, want: both, need: proto.CapSend, got: proto.CapSend},
		{name: "less is offered", offer: proto.CapRecv, allowed: proto.AllCaps, want: both, got: proto.CapRecv},
		{name: "less is wanted", offer: both, allowed: both, want: proto.CapRecv, need: proto.CapRecv, got: proto.CapRecv},
		{name: "need not granted", offer: both, allowed: proto.CapSend, want: both, need: both, code: proto.Capability},
		{name: "nothing granted", offer: both, allowed: proto.CapSend, want: proto.CapRecv, need: proto.CapRecv, code: proto.Capability},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, c.offer, 1)
				e, key := n.Endpoint(t)
				cred, tok := s.issue(t, c.allowed, 0, 1)
				target := s.target(cred, c.want)
				target.Need = c.need
				dl, err := e.Dial(t.Context(), target)
				wantCode(t, "dial", err, c.code)
				if err != nil {
					return
				}
				ll := s.accept(t)
				if dl.Granted != c.got || ll.Granted != c.got {
					t.Errorf("granted %s and %s, want %s", dl.Granted, ll.Granted, c.got)
				}
				if dl.Peer != s.key.ID() || ll.Peer != key.ID() {
					t.Errorf("peers are %s and %s, want %s and %s", dl.Peer, ll.Peer, s.key.ID(), key.ID())
				}
				if dl.Transfer != ll.Transfer || dl.Transfer == (wire.TransferID{}) {
					t.Errorf("transfers are %s and %s, want the same one", dl.Transfer, ll.Transfer)
				}
				if !dl.Dialed || ll.Dialed || dl.Token != nil || ll.Token == nil || *ll.Token != tok.ID {
					t.Errorf("got Dialed %v and %v, Token %v and %v, want true, false, none and %s", dl.Dialed, ll.Dialed, dl.Token, ll.Token, tok.ID)
				}
				if dl.PeerWindow != proto.WindowBytes || ll.PeerWindow != proto.WindowBytes {
					t.Errorf("windows are %d and %d, want %d", dl.PeerWindow, ll.PeerWindow, proto.WindowBytes)
				}
				echo(t, dl, ll)
			})
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 9)
		e, key := n.Endpoint(t)
		_, err := e.Dial(t.Context(), s.target(token.KeyCredential(), proto.CapSend))
		wantCode(t, "dial with a key nobody knows", err, proto.Denied)
		if err := (identity.Book{Dir: s.dir}).Allow(key.ID(), proto.CapSend); err != nil {
			t.Fatal(err)
		}
		dl, ll := s.dial(t, e, token.KeyCredential(), proto.CapSend)
		echo(t, dl, ll)
		if ll.Token != nil {
			t.Errorf("got token %s of a link by key, want none", ll.Token)
		}
		capability, err := token.NewCapability(s.key, proto.CapRecv, 0, 1, key.ID(), []string{s.addr()})
		if err != nil {
			t.Fatal(err)
		}
		other, _ := n.Endpoint(t)
		_, err = other.Dial(t.Context(), s.target(capability.Credential(), proto.CapRecv))
		wantCode(t, "dial with another node's capability", err, proto.Denied)
		dl, ll = s.dial(t, e, capability.Credential(), proto.CapRecv)
		echo(t, dl, ll)
	})
}

func TestWrongPin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		target := s.target(cred, proto.CapSend)
		target.ID = newKey(t).ID()
		_, err := e.Dial(t.Context(), target)
		wantCode(t, "dial", err, proto.Identity)
		s.acceptNone(t)
		if got := s.asked.Load(); got != 0 {
			t.Errorf("listener got %d P2P_HELLOs, want none", got)
		}
		s.dial(t, e, cred, proto.CapSend) // the token is as good as before
	})
}

// Of several addresses the one with the right key wins, whatever the others
// answer.
func TestSeveralAddrs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s, other := newSite(t, n, proto.AllCaps, 1), newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		target := s.target(cred, proto.CapSend)
		target.Addrs = []string{other.addr(), silentAddr(t, n), s.addr()}
		begun := time.Now()
		dl, err := e.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %s, want no waiting for the address that does not answer", took)
		}
		echo(t, dl, s.accept(t))
		if got := other.asked.Load(); got != 0 {
			t.Errorf("the wrong listener got %d P2P_HELLOs, want none", got)
		}

		target.Addrs = []string{silentAddr(t, n), other.addr()}
		_, err = e.Dial(t.Context(), target)
		wantCode(t, "dial without the right address", err, proto.Identity)
	})
}

// silentAddr returns the address of a host that takes packets and says nothing.
func silentAddr(t *testing.T, n *linktest.Net) string {
	t.Helper()
	conn := n.Conn(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			if _, _, err := conn.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"silent host", "cut", "no host"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				e, _ := n.Endpoint(t)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				target := s.target(cred, proto.CapSend)
				switch name {
				case "silent host":
					target.Addrs = []string{silentAddr(t, n)}
				case "cut":
					n.Cut()
				case "no host":
					target.Addrs = []string{"192.0.2.250:4600"}
				}
				begun := time.Now()
				_, err := e.Dial(t.Context(), target)
				wantCode(t, "dial", err, proto.Unreachable)
				if took := time.Since(begun); took > proto.DialTimeout {
					t.Errorf("took %s, want at most %s", took, proto.DialTimeout)
				}
			})
		})
	}
}

func TestDialCanceled(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} { // by the network, by the listener
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: latency}
			s := newSite(t, n, proto.AllCaps, 1)
			e, _ := n.Endpoint(t)
			cred, _ := s.issue(t, proto.CapSend, 0, 1)
			if held {
				s.hold = make(chan struct{})
				defer close(s.hold)
			} else {
				n.Cut()
			}
			why := errors.New("a person has had enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(2*time.Second, func() { cancel(why) })
			begun := time.Now()
			_, err := e.Dial(ctx, s.target(cred, proto.CapSend))
			if !errors.Is(err, why) {
				t.Errorf("held by the listener %v: got %v, want %v", held, err, why)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("held by the listener %v: took %s, want 2s", held, took)
			}
		})
	}
}

func TestOwnKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		for _, e := range []*link.Endpoint{s.endpoint, n.EndpointFor(t, s.key)} {
			_, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
			wantCode(t, "dial", err, proto.Identity)
		}
	})
}

func TestBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		first, _ := n.Endpoint(t)
		second, _ := n.Endpoint(t)
		dl, ll := s.dial(t, first, cred, proto.CapSend)
		_, err := second.Dial(t.Context(), s.target(cred, proto.CapSend))
		wantCode(t, "dial when there is no place", err, proto.Busy)
		echo(t, dl, ll)
		// A stranger must not learn that there is no place.
		wrong := cred
		wrong.Secret = bytes.Repeat([]byte{1}, len(cred.Secret))
		_, err = second.Dial(t.Context(), s.target(wrong, proto.CapSend))
		wantCode(t, "dial with a wrong secret", err, proto.Denied)

		dl.Close(nil)
		_, err = ll.Read(make([]byte, 1))
		wantCode(t, "read after the peer's Close", err, proto.Truncated)
		_, err = second.Dial(t.Context(), s.target(cred, proto.CapSend))
		wantCode(t, "dial before the listener's Close", err, proto.Busy)
		ll.Close(nil)
		ll.Close(nil) // gives no second place
		s.dial(t, second, cred, proto.CapSend)
		_, err = first.Dial(t.Context(), s.target(cred, proto.CapSend))
		wantCode(t, "dial when there is no place again", err, proto.Busy)
	})
}

// A peer that leaves before anybody accepts it leaves its place too.
func TestPlaceOfUnaccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		for range 3 {
			e, _ := n.Endpoint(t)
			dl, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
			if err != nil {
				t.Fatal(err)
			}
			dl.Close(nil)
			<-time.After(time.Second)
		}
		e, _ := n.Endpoint(t)
		s.dial(t, e, cred, proto.CapSend)
	})
}

func TestCloseTellsCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ said, heard proto.Code }{
			{proto.Space, proto.Space},
			{proto.Interrupted, proto.Truncated},
			{proto.OK, proto.Truncated},
		} {
			dl, ll := (&linktest.Net{Latency: latency}).Pair(t, proto.CapSend)
			var why error
			if c.said != proto.OK {
				why = proto.Errorf(c.said, "why")
			}
			dl.Close(why)
			_, err := ll.Read(make([]byte, 1))
			wantCode(t, "read of a link that the peer closed", err, c.heard)
			if why != nil {
				_, err = dl.Read(make([]byte, 1))
				wantCode(t, "read of a link that we closed", err, c.said)
			}
		}
		dl, ll := (&linktest.Net{Latency: latency}).Pair(t, proto.CapSend)
		if err := dl.CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := ll.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read behind the end: got %v, want EOF", err)
		}
	})
}

// Somebody between the two who ends QUIC at both sides shows his own key.
func TestManInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)

		cert := certificate(t, newKey(t))
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
		wantCode(t, "dial through the relay", err, proto.Identity)
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

// Even a dialer who was given the pin of a relay reveals nothing that the relay
// can use at the listener.
func TestManInTheMiddleWithHisPin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := newKey(t)
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
		wantCode(t, "dial of the relay", err, proto.Denied)
		if got := <-answered; got != wire.TypeDeny {
			t.Errorf("listener answered the relay with %s, want P2P_DENY", got)
		}
		s.acceptNone(t)
		up.CloseWithError(0, "")
		s.dial(t, e, cred, proto.CapSend)
	})
}

// The one test that has a real network: what the kernel says of a port that
// nobody has open.
func TestLoopback(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells of closed ports")
	}
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "1")
	open := func() (*link.Endpoint, *identity.Key, *udp.Conn) {
		t.Helper()
		conn, err := udp.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		key := newKey(t)
		e, err := link.Open(key, conn, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e, key, conn
	}
	dialing, _, _ := open()
	listening, key, socket := open()
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := link.Target{ID: key.ID(), Addrs: []string{nobody.LocalAddr().String()}, Credential: token.KeyCredential(), Want: proto.CapSend}
	nobody.Close()

	begun := time.Now()
	_, err = dialing.Dial(t.Context(), target)
	wantCode(t, "dial of a closed port", err, proto.Unreachable)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("dial of a closed port took %s, want less than 3s", took)
	}

	l, err := listening.Listen(linktest.Anyone{}, proto.AllCaps, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	target.Addrs = []string{listening.Addr().String()}
	dl, err := dialing.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	ll, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	echo(t, dl, ll)
	begun = time.Now()
	socket.Close()
	_, err = dl.Read(make([]byte, 1))
	wantCode(t, "read from a process that is gone", err, proto.Truncated)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("noticed after %s, want less than 10s", took)
	}
	dl.Close(nil)
	ll.Close(nil)
}

// certificate returns a node key's own certificate.
func certificate(t *testing.T, key *identity.Key) tls.Certificate {
	t.Helper()
	cert, err := key.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
