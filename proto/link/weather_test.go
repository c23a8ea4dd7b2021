package link_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/linktest/forge"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

// What has not shown the pinned key is no answer of the peer: these tests put strangers
// at the peer's address.

// detour makes a dialer reach a stranger where it dials the peer, while it is on.
type detour struct {
	peer, stranger string // stranger "" refuses
	on             atomic.Bool
	refused        func(netip.AddrPort) // QUIC's ICMP port unreachable
}

// sockets puts the detour into a dialer's sockets.
func (d *detour) sockets(s link.Sockets) link.Sockets {
	if dial := s.DialTCP; dial != nil {
		s.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !d.on.Load() || addr != d.peer {
				return dial(ctx, network, addr)
			}
			if d.stranger == "" {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			return dial(ctx, network, d.stranger)
		}
	}
	if s.UDP != nil {
		s.UDP = &detourConn{s.UDP, d}
	}
	return s
}

type detourConn struct {
	net.PacketConn
	d *detour
}

func (c *detourConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	if !c.d.on.Load() || addr.String() != c.d.peer {
		return c.PacketConn.WriteTo(p, addr)
	}
	if c.d.stranger == "" {
		go c.d.refused(netip.MustParseAddrPort(c.d.peer))
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, udpAddr(c.d.stranger))
}

func (c *detourConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(p)
	if err == nil && from.String() == c.d.stranger {
		from = udpAddr(c.d.peer)
	}
	return n, from, err
}

func udpAddr(s string) net.Addr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

// stranger is what stands at the peer's address.
type stranger struct {
	name  string
	lasts time.Duration // how long
	// serve starts it over the network's transport and returns its address.
	serve func(t *testing.T, n *linktest.Net, peer *identity.Key) string
	seen  string // part of the error when it stays for too long
}

func copiedCertificate(t *testing.T, key *identity.Key) tls.Certificate {
	t.Helper()
	c := certificate(t, key)
	c.PrivateKey = certificate(t, xtest.NewKey(t)).PrivateKey
	return c
}

func saysTCP(text string) func(*testing.T, *linktest.Net, *identity.Key) string {
	return func(t *testing.T, n *linktest.Net, _ *identity.Key) string {
		return serveTCP(t, n, func(raw net.Conn) {
			_, _ = io.WriteString(raw, text)
			if text != "" {
				_, _ = io.Copy(io.Discard, raw)
			}
		})
	}
}

func servesTLS(conf func(*testing.T, *identity.Key) *tls.Config) func(*testing.T, *linktest.Net, *identity.Key) string {
	return func(t *testing.T, n *linktest.Net, peer *identity.Key) string {
		c := conf(t, peer)
		if !n.TCP {
			return serveRaw(t, n, c, func(context.Context, *quic.Conn) {})
		}
		return serveTCP(t, n, func(raw net.Conn) {
			_, _ = io.Copy(io.Discard, tls.Server(raw, c))
		})
	}
}

func answersQUIC(answer func(forge.First) []byte) func(*testing.T, *linktest.Net, *identity.Key) string {
	return func(t *testing.T, n *linktest.Net, _ *identity.Key) string {
		conn := n.Conn(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			forge.Answer(conn, answer)
		}()
		t.Cleanup(func() {
			conn.Close()
			<-done
		})
		return conn.LocalAddr().String()
	}
}

func strangers(tcp bool) []stranger {
	const long = 40 * time.Second
	all := []stranger{
		{name: "refuses", lasts: 3 * time.Second, seen: "process is gone"},
		{name: "another key", lasts: long, serve: servesTLS(func(t *testing.T, _ *identity.Key) *tls.Config {
			return tlsConf(certificate(t, xtest.NewKey(t)))
		}), seen: "another key"},
		{name: "copied certificate", lasts: long, serve: servesTLS(func(t *testing.T, peer *identity.Key) *tls.Config {
			return tlsConf(copiedCertificate(t, peer))
		})},
		{name: "another protocol", lasts: long, serve: servesTLS(func(t *testing.T, _ *identity.Key) *tls.Config {
			c := tlsConf(certificate(t, xtest.NewKey(t)))
			c.NextProtos = []string{"h3"}
			return c
		})},
	}
	if tcp {
		return append(all,
			stranger{name: "HTTP", lasts: long, serve: saysTCP("HTTP/1.1 511 Network Authentication Required\r\n\r\n"), seen: "TLS"},
			stranger{name: "SSH", lasts: long, serve: saysTCP("SSH-2.0-OpenSSH_9.9\r\n")},
			stranger{name: "hangs up", lasts: long, serve: saysTCP("")})
	}
	return append(all,
		stranger{name: "version negotiation", lasts: long, serve: answersQUIC(forge.First.VersionNegotiation), seen: "version"},
		stranger{name: "forged close", lasts: long, serve: answersQUIC(forge.Close(0x1c, 0x0a, "\x1b[2Jhello")), seen: "unauthenticated"},
		stranger{name: "forged close of an application", lasts: long, serve: answersQUIC(forge.Close(0x1d, 0x0a, ""))},
		stranger{name: "forged TLS alert", lasts: long, serve: answersQUIC(forge.Close(0x1c, 0x12a, "bad certificate"))},
		stranger{name: "forged refusal of the ALPN", lasts: long, serve: answersQUIC(forge.Close(0x1c, 0x178, "no application protocol"))},
		stranger{name: "forged frame", lasts: long, serve: answersQUIC(forge.Frames(0x08, 0, 1, 1))},
		stranger{name: "forged CRYPTO", lasts: long, serve: answersQUIC(forge.Frames(0x06, 0, 4, 0xff, 0, 0, 0))},
		stranger{name: "forged refusal", lasts: long, serve: answersQUIC(forge.Close(0x1c, 0x02, "go away"))})
}

// overStrangers runs a test with each stranger over both transports.
func overStrangers(t *testing.T, f func(t *testing.T, n *linktest.Net, c stranger, s *site, e *link.Endpoint, d *detour)) {
	t.Helper()
	for _, tcp := range []bool{true, false} {
		for _, c := range strangers(tcp) {
			t.Run(map[bool]string{true: "tcp/", false: "quic/"}[tcp]+c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n := &linktest.Net{Latency: latency, TCP: tcp}
					s := newSite(t, n, proto.AllCaps, 1)
					d := &detour{peer: s.addr()}
					if c.serve != nil {
						d.stranger = c.serve(t, n, s.key)
					}
					e := n.EndpointOn(t, xtest.NewKey(t), d.sockets(n.Sockets(t)))
					d.refused = e.Unreachable
					f(t, n, c, s, e, d)
				})
			})
		}
	}
}

// Whatever answers at the peer's address while a link is broken, the transfer goes on
// when the peer is back.
func TestResumeDespiteStrangers(t *testing.T) {
	t.Parallel()
	overStrangers(t, func(t *testing.T, n *linktest.Net, c stranger, s *site, e *link.Endpoint, d *detour) {
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		d.on.Store(true)
		time.AfterFunc(c.lasts, func() { d.on.Store(false) })
		begun := time.Now()
		dl.Break(errors.New("reset"))
		dl, ll = resume(t, dl, ll)
		if took := time.Since(begun); took < c.lasts {
			t.Errorf("resumed after %s, while the stranger was there: nothing is tested", took)
		}
		if !t.Failed() {
			echo(t, dl, ll)
		}
		dl.Close(nil)
		ll.Close(nil)
	})
}

// If the peer does not come back, the dialer reports that the time is over, and what
// answered instead. A host that refuses for long has lost the process.
func TestNotResumedBecauseOfStrangers(t *testing.T) {
	t.Parallel()
	overStrangers(t, func(t *testing.T, n *linktest.Net, c stranger, s *site, e *link.Endpoint, d *detour) {
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		d.on.Store(true)
		dl.Break(errors.New("reset"))
		const limit = 20 * time.Second
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, proto.Errorf(proto.Timeout, "not resumed in time"))
		defer cancel()
		begun := time.Now()
		_, err := dl.Resume(ctx)
		want, from, to := proto.Timeout, limit, limit+time.Second
		if c.serve == nil {
			want, from, to = proto.Truncated, 5*time.Second, 8*time.Second
		}
		xtest.WantCode(t, "resume", err, want)
		if !strings.Contains(err.Error(), c.seen) || strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "go away") {
			t.Errorf("resume: got %q, want what was seen (%s), and no text of a stranger", err, c.seen)
		}
		if took := time.Since(begun); took < from || took > to {
			t.Errorf("gave up after %s, want %s to %s", took, from, to)
		}
		dl.Close(err)
		ll.Close(err)
	})
}

// A dial that meets a stranger fails with an error that says so, and the next may reach
// the peer. What a stranger forges before the QUIC handshake is complete is 10, or 13
// for a refusal.
func TestDialStrangers(t *testing.T) {
	t.Parallel()
	overStrangers(t, func(t *testing.T, n *linktest.Net, c stranger, s *site, e *link.Endpoint, d *detour) {
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		d.on.Store(true)
		_, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
		if !errors.Is(err, link.ErrNotReached) {
			t.Errorf("dial: got %v, want it to say that the peer was not reached", err)
		}
		if code := proto.CodeOf(err); (strings.HasPrefix(c.name, "forged") || c.name == "version negotiation") && code != proto.Unreachable && code != proto.Busy {
			t.Errorf("dial: got %v (%v), want %v", err, code, proto.Unreachable)
		}
		if strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "go away") {
			t.Errorf("dial: got %q, want no text of a stranger", err)
		}
		d.on.Store(false)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		echo(t, dl, ll)
	})
}

// An answer with the pinned key counts at once: a peer that has ended the transfer, or
// that the dialer may not reach any more, is not asked again.
func TestResumeEndsWithThePeersWord(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		e, key := n.Endpoint(t)
		if err := (identity.Book{Dir: s.dir}).Allow(key.ID(), proto.CapSend); err != nil {
			t.Fatal(err)
		}
		dl, ll := s.dial(t, e, token.KeyCredential(), proto.CapSend)
		dl.Break(errors.New("reset"))
		ll.Close(nil)
		begun := time.Now()
		_, err := dl.Resume(t.Context())
		xtest.WantCode(t, "resume", err, proto.Truncated)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %s, want no waiting", took)
		}
	})
}
