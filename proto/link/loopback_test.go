package link_test

import (
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/udp"
	"mesh/proto/xtest"
)

// A real endpoint listens and dials at once on one UDP port and one TCP port, over
// each transport.
func TestLoopbackBothWays(t *testing.T) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "1")
	type node struct {
		endpoint *link.Endpoint
		listener *link.Listener
		id       identity.ID
	}
	open := func(via string) node {
		t.Helper()
		var s link.Sockets
		var err error
		if via == proto.ViaQUIC {
			s.UDP, err = udp.Listen("127.0.0.1:0")
		} else {
			s.TCP, err = net.Listen("tcp", "127.0.0.1:0")
			s.DialTCP = new(net.Dialer).DialContext
		}
		if err != nil {
			t.Fatal(err)
		}
		key := xtest.NewKey(t)
		n := node{id: key.ID()}
		if n.endpoint, err = link.Open(key, s, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.endpoint.Close() })
		if n.listener, err = n.endpoint.Listen(link.ListenOptions{Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 2}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.listener.Close() })
		return n
	}
	for _, via := range []string{proto.ViaQUIC, proto.ViaTCP} {
		a, b := open(via), open(via)
		var links []*link.Link
		for _, ends := range [][2]node{{a, b}, {b, a}, {a, b}} {
			dl, err := ends[0].endpoint.Dial(t.Context(), link.Target{
				ID: ends[1].id, Addrs: []string{ends[1].endpoint.Addr().String()}, Credential: token.KeyCredential(), Want: proto.CapSend,
			})
			if err != nil {
				t.Fatalf("%s: %v", via, err)
			}
			ll, err := ends[1].listener.Accept(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", via, err)
			}
			if got, want := ll.Path().Kind, path.LAN; got != want {
				t.Errorf("%s: got path %s, want %s", via, got, want)
			}
			links = append(links, dl, ll)
		}
		for i := 0; i < len(links); i += 2 {
			echo(t, links[i], links[i+1])
			links[i].Close(nil)
			links[i+1].Close(nil)
		}
	}
}

// The kernel reports that a port is closed, to a dialer and to the peer of a process
// that ends.
func TestLoopback(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux reports closed ports")
	}
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "1")
	open := func() (*link.Endpoint, *identity.Key, *udp.Conn) {
		t.Helper()
		conn, err := udp.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		key := xtest.NewKey(t)
		e, err := link.Open(key, link.Sockets{UDP: conn}, slog.New(slog.DiscardHandler))
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
	xtest.WantCode(t, "dial of a closed port", err, proto.Unreachable)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("dial of a closed port took %s, want less than 3s", took)
	}

	l, err := listening.Listen(link.ListenOptions{Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 1})
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
	xtest.WantCode(t, "read from a process that is gone", err, proto.Truncated)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("noticed after %s, want less than 10s", took)
	}
	dl.Close(nil)
	ll.Close(nil)
}
