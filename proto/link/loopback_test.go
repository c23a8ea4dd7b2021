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
	"mesh/proto/token"
	"mesh/proto/udp"
	"mesh/proto/xtest"
)

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
