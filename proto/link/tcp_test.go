package link_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/tcp"
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

// However many connections of some hosts say nothing, or only a part of a ClientHello,
// or nothing behind TLS, another host is let in at once.
func TestTCPTooManyHalfOpen(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 7)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		first, _ := n.Endpoint(t)
		dl, ll := s.dial(t, first, cred, proto.CapSend)
		conf := tlsConf(certificate(t, xtest.NewKey(t)))
		var conns []net.Conn
		for range 20 {
			from := n.Sockets(t)
			for range 100 {
				conns = append(conns, connect(t, from, s))
			}
			for i := range 10 {
				raw := connect(t, from, s)
				if i > 4 {
					_, _ = io.WriteString(raw, "\x16\x03\x01\x02\x00\x01")
				} else {
					go func() { _ = tls.Client(raw, conf).HandshakeContext(t.Context()) }()
				}
				conns = append(conns, raw)
			}
		}
		for range 5 {
			e, _ := n.Endpoint(t)
			begun := time.Now()
			dl, ll := s.dial(t, e, cred, proto.CapSend)
			if took := time.Since(begun); took > 100*time.Millisecond {
				t.Errorf("let in after %s, want at once", took)
			}
			echo(t, dl, ll)
		}
		for i, conn := range conns {
			wantHungUp(t, fmt.Sprintf("connection %d", i), conn, proto.HelloTimeout+time.Second)
		}
		echo(t, dl, ll)
	})
}
