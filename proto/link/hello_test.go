package link_test

import (
	"context"
	"errors"
	"io"
	"net"
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
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// Neither silence nor a P2P_HELLO sent byte by byte keeps a connection open.
func TestHelloTimeout(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"silence", "dribble", "stream and nothing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				key := xtest.NewKey(t)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				conn := dialRaw(t, n, s, tlsConf(certificate(t, key)))
				begun := time.Now()
				var wg sync.WaitGroup
				if name != "silence" {
					stream, err := conn.OpenStreamSync(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, frame := helloFor(t, bindingOf(t, conn, key.ID(), s.key.ID()), cred, proto.CapSend)
					wg.Go(func() {
						for _, c := range frame {
							if _, err := stream.Write([]byte{c}); err != nil || name != "dribble" {
								return
							}
							<-time.After(proto.HelloTimeout / 50)
						}
					})
				}
				wantClosed(t, conn, proto.HelloTimeout+time.Second, proto.Timeout)
				if took := time.Since(begun); took < proto.HelloTimeout-time.Second {
					t.Errorf("closed after %s, want %s", took, proto.HelloTimeout)
				}
				wg.Wait()
				s.acceptNone(t)
			})
		})
	}
}

// slowAnswer is a guard, and the listener of its connections: the write that follows a call
// of the guard has sent everything when it begins, and returns when the time for the
// handshake is over, as on a machine that is busy.
type slowAnswer struct {
	net.Listener
	linktest.Anyone
	asked *atomic.Bool
}

func (s slowAnswer) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	s.asked.Store(true)
	return s.Anyone.Find(h, dialer)
}

func (s slowAnswer) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	return slowConn{c, s.asked}, err
}

type slowConn struct {
	net.Conn
	asked *atomic.Bool
}

func (c slowConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.asked.CompareAndSwap(true, false) {
		<-time.After(proto.HelloTimeout)
	}
	return n, err
}

// A dialer that has its answer has a link, also if the listener's time for the handshake
// ends meanwhile.
func TestAnswerAtTheLastMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, TCP: true}
		sockets := n.Sockets(t)
		slow := slowAnswer{Listener: sockets.TCP, asked: new(atomic.Bool)}
		sockets.TCP = slow
		key := xtest.NewKey(t)
		e := n.EndpointOn(t, key, sockets)
		l, err := e.Listen(link.ListenOptions{Guard: slow, Offer: proto.AllCaps, Max: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		from, _ := n.Endpoint(t)
		dialer, err := from.Dial(t.Context(), link.Target{
			ID: key.ID(), Addrs: []string{e.Addr().String()}, Credential: token.KeyCredential(), Want: proto.CapSend, Need: proto.CapSend,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*proto.HelloTimeout)
		defer cancel()
		listener, err := l.Accept(ctx)
		if err != nil {
			t.Fatalf("the dialer has a link, and the listener none: %v", err)
		}
		echo(t, dialer, listener)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { dialer.Close(nil) })
		wg.Go(func() { listener.Close(nil) })
	})
}

// A dialer may open one bidirectional stream and nothing else.
func TestOneStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := xtest.NewKey(t)
		conn := dialRaw(t, n, s, tlsConf(certificate(t, key)))
		nothingMore := func(when string) {
			t.Helper()
			if _, err := conn.OpenStream(); err == nil {
				t.Errorf("%s: opened a second stream, want none", when)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := conn.OpenStreamSync(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: second stream: got %v, want it to wait without end", when, err)
			}
			if _, err := conn.OpenUniStream(); err == nil {
				t.Errorf("%s: opened a uni stream, want none", when)
			}
			if err := conn.SendDatagram([]byte("x")); err == nil {
				t.Errorf("%s: sent a datagram, want an error", when)
			}
		}
		_, frame := helloFor(t, bindingOf(t, conn, key.ID(), s.key.ID()), cred, proto.CapSend)
		stream, typ, _, err := say(t, conn, frame)
		if err != nil || typ != wire.TypeOK {
			t.Fatalf("answered %s (%v), want P2P_OK", typ, err)
		}
		l := s.accept(t)
		nothingMore("proven")
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read: got %v, want EOF", err)
		}
		nothingMore("after FIN")
		conn.CloseWithError(proto.CodeBase, "")

		conn = dialRaw(t, n, s, tlsConf(certificate(t, key)))
		if _, err := conn.OpenStream(); err != nil {
			t.Error(err)
		}
		nothingMore("unproven")
		conn.CloseWithError(proto.CodeBase, "")
	})
}

// A half-open connection accepts few bytes, however many are sent.
func TestHalfOpenWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var listening atomic.Pointer[string]
		var crossed atomic.Int64
		n := &linktest.Net{Latency: latency, Pass: func(p linktest.Packet) bool {
			if to := listening.Load(); to != nil && p.To.String() == *to {
				crossed.Add(int64(len(p.Data)))
			}
			return true
		}}
		s := newSite(t, n, proto.AllCaps, 1)
		s.hold = make(chan struct{})
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := xtest.NewKey(t)
		conn := dialRaw(t, n, s, tlsConf(certificate(t, key)))
		_, frame := helloFor(t, bindingOf(t, conn, key.ID(), s.key.ID()), cred, proto.CapSend)
		stream, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to := s.addr()
		listening.Store(&to)
		if err := stream.SetWriteDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		took, err := stream.Write(append(frame, make([]byte, 1<<20)...))
		if err == nil || took > proto.HandshakeWindowBytes {
			t.Errorf("listener took %d bytes (%v), want at most %d", took, err, proto.HandshakeWindowBytes)
		}
		if got := crossed.Load(); got < proto.HandshakeWindowBytes/2 || got > proto.HandshakeWindowBytes*5/4 {
			t.Errorf("%d bytes crossed the network, want about %d", got, proto.HandshakeWindowBytes)
		}
		close(s.hold) // it was a valid P2P_HELLO: from here on, the window is large
		s.accept(t)
		conn.CloseWithError(proto.CodeBase, "")
	})
}

// Connections that end in the middle of P2P_HELLO. The listener reports none of them
// as a bug.
func TestHelloCut(t *testing.T) {
	t.Parallel()
	frame := wire.AppendFrame(nil, &wire.Hello{
		Version: proto.HelloVersion, Method: wire.MethodKey, Want: "send", Window: proto.MinWindowBytes,
		Nonce: make([]byte, proto.NonceBytes), Proof: make([]byte, proto.ProofBytes),
	})
	for what, c := range map[string]struct {
		bytes int
		end   func(*quic.Stream)
		want  proto.Code
	}{
		"nothing":          {0, func(s *quic.Stream) { s.Close() }, proto.Protocol},
		"within a header":  {3, func(s *quic.Stream) { s.Close() }, proto.Protocol},
		"without a body":   {proto.FrameHeaderBytes, func(s *quic.Stream) { s.Close() }, proto.Protocol},
		"within a body":    {len(frame) - 1, func(s *quic.Stream) { s.Close() }, proto.Protocol},
		"reset":            {3, func(s *quic.Stream) { s.CancelWrite(0x4d0c) }, proto.Truncated},
		"reset strangely":  {3, func(s *quic.Stream) { s.CancelWrite(7) }, proto.Protocol},
		"reset with error": {3, func(s *quic.Stream) { s.CancelWrite(proto.CodeBase + 1) }, proto.Protocol},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				conn := dialRaw(t, n, s, tlsConf(certificate(t, xtest.NewKey(t))))
				stream, err := conn.OpenStreamSync(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Write(frame[:c.bytes]); err != nil {
					t.Fatal(err)
				}
				<-time.After(10 * latency) // a reset would overtake what was written
				c.end(stream)
				wantClosed(t, conn, time.Second, c.want)
				s.acceptNone(t)
			})
		})
	}
}
