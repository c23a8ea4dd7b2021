//go:build unix

package main

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/quic-go/quic-go"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// A connection that ends after P2P_HELLO without a word of the peer is an attempt that
// nobody answered (10), which --wait repeats.
func TestEndBeforeAnswer(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func(*testing.T, tls.Certificate, *atomic.Int64) netip.AddrPort{
		"FIN":             func(t *testing.T, c tls.Certificate, n *atomic.Int64) netip.AddrPort { return hangUp(t, c, n, -1) },
		"RST":             func(t *testing.T, c tls.Certificate, n *atomic.Int64) netip.AddrPort { return hangUp(t, c, n, 0) },
		"stateless reset": forget,
	} {
		for _, wait := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " wait"}[wait], func(t *testing.T) {
				t.Parallel()
				key := attacker.NewKey()
				var calls atomic.Int64
				addr := listen(t, attacker.Certificate(key), &calls)
				args := []string{"--via", map[bool]string{true: "quic", false: "tcp"}[name == "stateless reset"], attacker.NewToken(key, 1, addr).Encode()}
				if wait {
					args = append([]string{"--wait", "1h"}, args...)
				}
				cat := begin(t, t.TempDir(), nil, "mesh-cat", args...)
				if wait {
					poll(t, "another connection", func() bool { return calls.Load() > 1 || ended(cat) })
					_ = cat.Process.Signal(syscall.SIGTERM)
					if got, want := cat.code(t), proto.Code(128+int(syscall.SIGTERM)); got != want {
						t.Errorf("mesh-cat ended with %v by itself, want %v: %s", got, want, cat.stderr.Bytes())
					}
					return
				}
				if got := cat.code(t); got != proto.Unreachable || calls.Load() != 1 {
					t.Errorf("mesh-cat ended with %v after %d connections, want %v after 1: %s", got, calls.Load(), proto.Unreachable, cat.stderr.Bytes())
				}
			})
		}
	}
}

// hangUp listens over TCP, reads the beginning of P2P_HELLO and ends the connection: with
// RST if linger is 0, else with FIN.
func hangUp(t *testing.T, cert tls.Certificate, calls *atomic.Int64, linger int) netip.AddrPort {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", attacker.Config(cert))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 2000)); err == nil {
				calls.Add(1)
			}
			raw := c.(*tls.Conn).NetConn().(*net.TCPConn)
			_ = raw.SetLinger(linger)
			raw.Close()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// forget listens over QUIC, and answers each connection with a stateless reset (RFC 9000,
// section 10.3), as a host does that has lost it.
func forget(t *testing.T, cert tls.Certificate, calls *atomic.Int64) netip.AddrPort {
	t.Helper()
	key := quic.StatelessResetKey{1}
	open := func(at string) (*quic.Listener, net.PacketConn) {
		var socket net.PacketConn
		poll(t, "a socket on "+at, func() bool {
			var err error
			socket, err = net.ListenPacket("udp", at)
			return err == nil
		})
		tr := &quic.Transport{Conn: socket, StatelessResetKey: &key, ConnectionIDLength: 18} // no answer to packets that are too short
		l, err := tr.Listen(attacker.Config(cert), &quic.Config{})
		if err != nil {
			t.Error(err)
		}
		return l, socket
	}
	l, socket := open("127.0.0.1:0")
	addr := socket.LocalAddr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept(t.Context())
			if err != nil {
				socket.Close()
				return
			}
			if s, err := c.AcceptStream(t.Context()); err == nil {
				_, _ = s.Read(make([]byte, 2000))
				calls.Add(1)
			}
			socket.Close()
			l, socket = open(addr)
		}
	}()
	t.Cleanup(func() { <-done })
	return netip.MustParseAddrPort(addr)
}
