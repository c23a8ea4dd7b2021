package pipe_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/udp"
	"mesh/proto/xtest"
)

// BenchmarkExchange sends 64 MiB over the kernel's loopback, both ends in this
// process and on one processor. Its profile guides the compiler when it builds mesh:
//
//	go test -trimpath -run - -bench Exchange -benchtime 200x -cpuprofile cmd/mesh/default.pgo ./pipe
func BenchmarkExchange(b *testing.B) {
	b.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "1")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, via := range []string{proto.ViaQUIC, proto.ViaTCP} {
		b.Run(via, func(b *testing.B) {
			const size = 64 << 20
			b.SetBytes(size)
			for b.Loop() {
				exchange(b, via, size)
			}
		})
	}
}

// endless is a reader that never ends: it repeats its bytes.
type endless []byte

func (e endless) Read(p []byte) (int, error) { return copy(p, e), nil }

func exchange(b *testing.B, via string, size int64) {
	b.Helper()
	dialing, _ := endpoint(b, via)
	listening, id := endpoint(b, via)
	l, err := listening.Listen(link.ListenOptions{Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 1})
	if err != nil {
		b.Fatal(err)
	}
	target := link.Target{ID: id, Addrs: []string{listening.Addr().String()}, Credential: token.KeyCredential(), Want: proto.CapSend}
	received := make(chan error, 1)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() {
		ll, err := l.Accept(ctx)
		if err == nil {
			_, err = pipe.Exchange(ctx, ll, nil, &pipe.Sink{Writer: io.Discard}, pipe.Options{})
		}
		received <- err
	}()
	dl, err := dialing.Dial(ctx, target)
	if err == nil {
		_, err = pipe.Exchange(ctx, dl, &pipe.Source{Reader: io.LimitReader(endless(xtest.Random(1<<20)), size)}, nil, pipe.Options{})
	}
	if err != nil {
		cancel()
	}
	if other := <-received; err != nil || other != nil {
		b.Fatalf("sender: %v, receiver: %v", err, other)
	}
	_ = l.Close()
	_ = listening.Close()
	_ = dialing.Close()
}

// endpoint opens an endpoint with one transport.
func endpoint(b *testing.B, via string) (*link.Endpoint, identity.ID) {
	b.Helper()
	const addr = "127.0.0.1:0"
	var sockets link.Sockets
	var err error
	if via == proto.ViaQUIC {
		sockets.UDP, err = udp.Listen(addr)
	} else {
		sockets.TCP, err = net.Listen("tcp", addr)
		sockets.DialTCP = new(net.Dialer).DialContext
	}
	if err != nil {
		b.Fatal(err)
	}
	key, err := identity.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	e, err := link.Open(key, sockets, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return e, key.ID()
}
