package link_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/tcp"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// overTCP runs a test in virtual time, with TCP only.
func overTCP(t *testing.T, f func(t *testing.T, n *linktest.Net)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, &linktest.Net{Latency: latency, TCP: true}) })
}

// connect makes a TCP connection to the listener.
func connect(t *testing.T, from link.Sockets, s *site) net.Conn {
	t.Helper()
	raw, err := from.DialTCP(t.Context(), "tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

// connectTLS is connect with TLS, for a foreign program that sends blocks of its own.
func connectTLS(t *testing.T, from link.Sockets, s *site, conf *tls.Config) *tls.Conn {
	t.Helper()
	conn := tls.Client(connect(t, from, s), conf)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// connectBlocks is connect with TLS and valid blocks.
func connectBlocks(t *testing.T, from link.Sockets, s *site, conf *tls.Config) *tcp.Conn {
	t.Helper()
	conn, err := tcp.Client(t.Context(), connect(t, from, s), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Abort(net.ErrClosed) })
	return conn
}

// serveTCP runs f for each connection to a new host that runs a foreign program, closes
// it afterwards, and returns the host's address.
func serveTCP(t *testing.T, n *linktest.Net, f func(net.Conn)) string {
	t.Helper()
	l := n.Sockets(t).TCP
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				f(conn)
			})
		}
	})
	return l.Addr().String()
}

// bindingOver is bindingOf over TCP.
func bindingOver(t *testing.T, state tls.ConnectionState, dialer, listener identity.ID) handshake.Binding {
	t.Helper()
	x, err := state.ExportKeyingMaterial(proto.ExporterLabel, nil, proto.ExporterBytes)
	if err != nil {
		t.Fatal(err)
	}
	return handshake.Binding{Exporter: x, Dialer: dialer, Listener: listener}
}

// sayBlocks sends a frame and reads the answer.
func sayBlocks(conn *tcp.Conn, frame []byte) (wire.Type, []byte, error) {
	if err := conn.Send(frame); err != nil {
		return 0, nil, err
	}
	return wire.ReadFrame(conn, wire.TypeOK, wire.TypeDeny)
}

// wantHungUp checks that the listener ends a connection, whatever it sends before.
func wantHungUp(t *testing.T, what string, conn net.Conn, within time.Duration) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Errorf("%s: connection is open after %s, want it closed", what, within)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func wantClosing(t *testing.T, what string, err error, want proto.Code) {
	t.Helper()
	if e, ok := errors.AsType[*tcp.CloseError](err); !ok || proto.CodeFromWire(e.Code) != want {
		t.Errorf("%s: got %v, want the peer's closing with %v", what, err, want)
	}
}

// Nothing that a foreign program does slowly keeps its connection open.
func TestTCPHelloTimeout(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"silence", "TLS dribble", "silence after TLS", "dribble", "signs of life"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overTCP(t, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				key := xtest.NewKey(t)
				conf := tlsConf(certificate(t, key))
				var wg sync.WaitGroup
				defer wg.Wait()
				slowly := func(w io.Writer, parts [][]byte) {
					wg.Go(func() {
						for _, p := range parts {
							if _, err := w.Write(p); err != nil {
								return
							}
							<-time.After(proto.HelloTimeout / 50)
						}
					})
				}
				begun := time.Now()
				var conn net.Conn
				switch name {
				case "silence":
					conn = connect(t, n.Sockets(t), s)
				case "TLS dribble":
					conn = connect(t, n.Sockets(t), s)
					hello := append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 502)...)
					slowly(conn, split(hello))
				case "silence after TLS":
					conn = connectTLS(t, n.Sockets(t), s, conf)
				case "dribble":
					c := connectTLS(t, n.Sockets(t), s, conf)
					_, frame := helloFor(t, bindingOver(t, c.ConnectionState(), key.ID(), s.key.ID()), cred, proto.CapSend)
					parts := split(frame)
					for i, p := range parts {
						parts[i] = append([]byte{0, 0, 0, 1}, p...)
					}
					slowly(c, parts)
					conn = c
				case "signs of life":
					c := connectTLS(t, n.Sockets(t), s, conf)
					alive := make([][]byte, 100)
					for i := range alive {
						alive[i] = []byte{0, 0, 0, 0, 0, 0, 0, 1}
					}
					slowly(c, alive)
					conn = c
				}
				wantHungUp(t, name, conn, proto.HelloTimeout+time.Second)
				if took := time.Since(begun); took < proto.HelloTimeout-time.Second || took > proto.HelloTimeout+time.Second {
					t.Errorf("closed after %s, want %s", took, proto.HelloTimeout)
				}
				s.acceptNone(t)
			})
		})
	}
	t.Run("is told", func(t *testing.T) {
		t.Parallel()
		overTCP(t, func(t *testing.T, n *linktest.Net) {
			s := newSite(t, n, proto.AllCaps, 1)
			conn := connectBlocks(t, n.Sockets(t), s, tlsConf(certificate(t, xtest.NewKey(t))))
			_, err := conn.Read(make([]byte, 1))
			wantClosing(t, "read", err, proto.Timeout)
		})
	})
}

// split returns each byte as a slice.
func split(p []byte) [][]byte {
	out := make([][]byte, len(p))
	for i := range p {
		out[i] = p[i : i+1]
	}
	return out
}

func TestTCPTooManyHalfOpen(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 3)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		first, _ := n.Endpoint(t)
		dl, ll := s.dial(t, first, cred, proto.CapSend)

		one := n.Sockets(t)
		fill := func(from link.Sockets, count int) []net.Conn {
			conns := make([]net.Conn, count)
			for i := range conns {
				conns[i] = connect(t, from, s)
			}
			return conns
		}
		conns := fill(one, proto.MaxHalfOpenPerSource)
		wantHungUp(t, "one more from one host", connect(t, one, s), latency)
		same := n.EndpointOn(t, xtest.NewKey(t), one)
		_, err := same.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "dial from that host", err, proto.Busy)
		second, _ := n.Endpoint(t)
		dl2, ll2 := s.dial(t, second, cred, proto.CapSend)
		echo(t, dl2, ll2)

		conns = append(conns, fill(n.Sockets(t), proto.MaxHalfOpen-proto.MaxHalfOpenPerSource)...)
		wantHungUp(t, "one more from any host", connect(t, n.Sockets(t), s), latency)
		_, err = second.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "dial from another host", err, proto.Busy)
		echo(t, dl, ll)

		// One that goes leaves its place.
		conns[0].Close()
		<-time.After(latency)
		conns[0] = connect(t, one, s)
		wantHungUp(t, "one more after one has gone", connect(t, one, s), latency)

		for i, conn := range conns {
			wantHungUp(t, fmt.Sprintf("connection %d", i), conn, proto.HelloTimeout+time.Second)
		}
		<-time.After(time.Second)
		echo(t, dl, ll)
		dl3, ll3 := s.dial(t, same, cred, proto.CapSend)
		echo(t, dl3, ll3)
	})
}

// The errors of a dialer that reaches a foreign program.
func TestTCPStrangeServers(t *testing.T) {
	t.Parallel()
	type stranger struct {
		conf *tls.Config
		says string // instead of TLS
		flip bool   // the last bit of all that it writes
		want proto.Code
	}
	key := xtest.NewKey(t)
	other := tlsConf(certificate(t, key))
	other.NextProtos = []string{"mesh/2"}
	none := tlsConf(certificate(t, key))
	none.NextProtos = nil
	old := tlsConf(certificate(t, key))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	cases := map[string]stranger{
		"other key":       {conf: tlsConf(certificate(t, xtest.NewKey(t))), want: proto.Identity},
		"no certificate":  {conf: tlsConf(), want: proto.Identity},
		"other ALPN":      {conf: other, want: proto.Version},
		"no ALPN":         {conf: none, want: proto.Version},
		"SSH":             {says: "SSH-2.0-OpenSSH_9.9\r\n", want: proto.Protocol},
		"HTTP":            {says: "HTTP/1.1 400 Bad Request\r\n\r\n", want: proto.Protocol},
		"noise":           {says: string(bytes.Repeat([]byte{0xa5}, 70_000)), want: proto.Protocol},
		"TLS data":        {says: "\x17\x03\x03\x00\x10" + string(make([]byte, 16)), want: proto.Protocol},
		"no server hello": {says: "\x16\x03\x03\x00\x04\x14\x00\x00\x00", want: proto.Protocol},
		"nothing":         {want: proto.Busy},
		// It may pass, unlike the others: QUIC would drop such a packet.
		"flipped bit": {conf: tlsConf(certificate(t, key)), flip: true, want: proto.Unreachable},
	}
	for name, certs := range strangeCertificates(t) {
		cases["certificate "+name] = stranger{conf: tlsConf(certs...), want: proto.Identity}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overTCP(t, func(t *testing.T, n *linktest.Net) {
				addr := serveTCP(t, n, func(raw net.Conn) {
					if c.conf == nil {
						_, _ = io.WriteString(raw, c.says)
						if c.says != "" {
							_, _ = io.Copy(io.Discard, raw)
						}
						return
					}
					if c.flip {
						raw = flipping{raw}
					}
					conn := tls.Server(raw, c.conf)
					if got, _ := io.ReadAll(conn); len(got) != 0 {
						t.Errorf("dialer said %x, want nothing", got)
					}
				})
				e, _ := n.Endpoint(t)
				begun := time.Now()
				_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
				xtest.WantCode(t, "dial", err, c.want)
				if took := time.Since(begun); took > time.Second {
					t.Errorf("took %s, want less than a second", took)
				}
			})
		})
	}
}

// flipping corrupts one bit of each write.
type flipping struct{ net.Conn }

func (f flipping) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	p[len(p)-1] ^= 1
	return f.Conn.Write(p)
}

// A host accepts connections and sends nothing.
func TestTCPSilentServer(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		addr := serveTCP(t, n, func(raw net.Conn) { _, _ = io.Copy(io.Discard, raw) })
		e, _ := n.Endpoint(t)
		begun := time.Now()
		_, err := e.Dial(t.Context(), link.Target{ID: xtest.NewKey(t).ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
		xtest.WantCode(t, "dial", err, proto.Unreachable)
		if took := time.Since(begun); took > proto.DialTimeout+time.Second {
			t.Errorf("took %s, want %s", took, proto.DialTimeout)
		}
	})
}

// A listener ends the connection of a foreign program, and no other.
func TestTCPStrangeClients(t *testing.T) {
	t.Parallel()
	key := xtest.NewKey(t)
	good := tlsConf(certificate(t, key))
	configs := map[string]*tls.Config{"no certificate": tlsConf()}
	for name, certs := range strangeCertificates(t) {
		configs["certificate "+name] = tlsConf(certs...)
	}
	for name, protocols := range map[string][]string{"other ALPN": {"mesh/2"}, "no ALPN": nil} {
		conf := good.Clone()
		conf.NextProtos = protocols
		configs[name] = conf
	}
	blocks := map[string]string{
		"4 GiB":         "\xff\xff\xff\xff",
		"too long":      "\x00\x10\x00\x01",
		"no such code":  "\x00\x00\x00\x00\x00\x00\x00\x7f",
		"end":           "\x00\x00\x00\x00\x00\x00\x00\x00",
		"no such frame": "\x00\x00\x00\x05\x00\x00\x00\x00\xee",
		"huge frame":    "\x00\x00\x00\x05\xff\xff\xff\xff\x01",
		"end in HELLO":  "\x00\x00\x00\x05\x00\x00\x00\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	}
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 2)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		asked := s.asked.Load()
		for name, conf := range configs {
			conn := tls.Client(connect(t, n.Sockets(t), s), conf)
			_ = conn.Handshake() // in TLS 1.3 the client is done before its certificate is looked at
			wantHungUp(t, name, conn, 2*time.Second)
		}
		for _, noise := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x80\x01", string(make([]byte, 300_000))} {
			raw := connect(t, n.Sockets(t), s)
			_, _ = io.WriteString(raw, noise)
			wantHungUp(t, fmt.Sprintf("noise %.10q", noise), raw, 2*time.Second)
		}
		for name, block := range blocks {
			conn := connectTLS(t, n.Sockets(t), s, good)
			if _, err := io.WriteString(conn, block); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 8)
			if _, err := io.ReadFull(conn, got); err != nil || uint64(binary.BigEndian.Uint64(got)) != proto.Protocol.Wire() {
				t.Errorf("%s: got %x (%v), want the closing with %v", name, got, err, proto.Protocol)
			}
			conn.NetConn().Close()
		}
		for name, block := range map[string]string{"closing": "\x00\x00\x00\x00\x00\x00\x4d\x00", "silent end": "", "part of a block": "\x00\x00\x00"} {
			conn := connectTLS(t, n.Sockets(t), s, good)
			_, _ = io.WriteString(conn, block)
			if err := conn.NetConn().(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			wantHungUp(t, name, conn.NetConn(), 2*time.Second)
		}
		if got := s.asked.Load(); got != asked {
			t.Errorf("listener judged %d P2P_HELLOs of strangers, want none", got-asked)
		}
		echo(t, dl, ll)
		s.dial(t, e, cred, proto.CapSend)
	})
}

// A man in the middle that terminates TLS on both sides can only show its own key, and
// one that forwards TLS sees nothing.
func TestTCPManInTheMiddle(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		his := tlsConf(certificate(t, xtest.NewKey(t)))
		up := connectTLS(t, n.Sockets(t), s, his)
		var relayed atomic.Int64
		addr := serveTCP(t, n, func(raw net.Conn) {
			down := tls.Server(raw, his)
			k, _ := io.Copy(up, down)
			relayed.Add(k)
		})
		target := s.target(cred, proto.CapSend)
		target.Addrs = []string{addr}
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial through the relay", err, proto.Identity)
		s.acceptNone(t)
		if got := relayed.Load(); got != 0 || s.asked.Load() != 0 {
			t.Errorf("relay saw %d bytes and the listener %d P2P_HELLOs, want none", got, s.asked.Load())
		}
		s.dial(t, e, cred, proto.CapSend)
	})
}

// A proof for the pin of a man in the middle is denied by the listener.
func TestTCPManInTheMiddleWithItsPin(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := xtest.NewKey(t)
		his := tlsConf(certificate(t, key))
		up := connectTLS(t, n.Sockets(t), s, his)
		addr := serveTCP(t, n, func(raw net.Conn) {
			down := tls.Server(raw, his)
			go func() { _, _ = io.Copy(up, down) }()
			_, _ = io.Copy(down, up)
		})
		target := s.target(cred, proto.CapSend)
		target.ID, target.Addrs = key.ID(), []string{addr}
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial of the relay", err, proto.Denied)
		if got := s.asked.Load(); got != 1 {
			t.Errorf("listener judged %d P2P_HELLOs, want the one that was relayed", got)
		}
		s.acceptNone(t)
		s.dial(t, e, cred, proto.CapSend)
	})
}

func TestTCPStolenProof(t *testing.T) {
	t.Parallel()
	for _, sameKey := range []bool{false, true} {
		t.Run(fmt.Sprintf("own key %v", sameKey), func(t *testing.T) {
			t.Parallel()
			overTCP(t, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				victim := xtest.NewKey(t)
				honest := connectBlocks(t, n.Sockets(t), s, tlsConf(certificate(t, victim)))
				_, frame := helloFor(t, bindingOver(t, honest.TLS(), victim.ID(), s.key.ID()), cred, proto.CapSend)
				thief := xtest.NewKey(t)
				if sameKey {
					thief = victim
				}
				conn := connectBlocks(t, n.Sockets(t), s, tlsConf(certificate(t, thief)))
				typ, body, err := sayBlocks(conn, frame)
				if want := `{"class":"denied"}`; err != nil || typ != wire.TypeDeny || string(body) != want {
					t.Errorf("thief was answered %s %s (%v), want P2P_DENY %s", typ, body, err, want)
				}
				_, err = conn.Read(make([]byte, 1))
				wantClosing(t, "read behind P2P_DENY", err, proto.Denied)
				conn.Close(proto.CodeBase, nil)
				s.acceptNone(t)

				if typ, body, err = sayBlocks(honest, frame); err != nil || typ != wire.TypeOK {
					t.Errorf("true dialer was answered %s %s (%v), want P2P_OK", typ, body, err)
				}
				if l := s.accept(t); l.Peer != victim.ID() {
					t.Errorf("listener accepted %s, want %s", l.Peer.Short(), victim.ID().Short())
				}
			})
		})
	}
}

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
		if took := time.Since(begun); took < time.Second/2 || took > 2*time.Second {
			t.Errorf("the dialer was waited for %s, want 1s", took)
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
				wg.Go(func() { watched.Watch(t.Context()) })
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

// spoiler corrupts one bit of the next write or read, once it is armed.
type spoiler struct {
	net.Conn
	write, read *atomic.Bool
}

func (s spoiler) Write(p []byte) (int, error) {
	if len(p) > 0 && s.write.CompareAndSwap(true, false) {
		p = bytes.Clone(p)
		p[len(p)-1] ^= 1
	}
	return s.Conn.Write(p)
}

func (s spoiler) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 && s.read.CompareAndSwap(true, false) {
		p[n-1] ^= 1
	}
	return n, err
}

// A corrupted bit that no checksum has found breaks a link at both ends, and the
// transfer goes on over another.
func TestTCPWrongBit(t *testing.T) {
	t.Parallel()
	for _, dialed := range []bool{false, true} {
		overTCP(t, func(t *testing.T, n *linktest.Net) {
			s := newSite(t, n, proto.AllCaps, 1)
			cred, _ := s.issue(t, proto.CapSend, 0, 0)
			var write, read atomic.Bool
			sockets := n.Sockets(t)
			dial := sockets.DialTCP
			sockets.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return spoiler{conn, &write, &read}, err
			}
			dl, ll := s.dial(t, n.EndpointOn(t, xtest.NewKey(t), sockets), cred, proto.CapSend)
			echo(t, dl, ll)
			writer, spoil := ll, &read
			if dialed {
				writer, spoil = dl, &write
			}
			spoil.Store(true)
			if _, err := writer.Write([]byte("spoiled")); err != nil {
				t.Errorf("write: %v", err)
			}
			var wg sync.WaitGroup
			for _, l := range []**link.Link{&dl, &ll} {
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
			wg.Wait()
			if !t.Failed() {
				echo(t, dl, ll)
			}
			dl.Close(nil)
			ll.Close(nil)
		})
	}
}
