package link_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// tlsConf is what a stranger uses who speaks mesh/1 with the given certificate
// and checks nothing.
func tlsConf(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{proto.ALPN},
		Certificates:       certs,
		ClientAuth:         tls.RequestClientCert,
		InsecureSkipVerify: true,
	}
}

// rawConf lets a stranger's connection live as long as the other end wants.
func rawConf() *quic.Config {
	return &quic.Config{MaxIdleTimeout: time.Hour, KeepAlivePeriod: time.Second, EnableDatagrams: true}
}

// transport returns a new host's transport.
func transport(t *testing.T, n *linktest.Net) *quic.Transport {
	t.Helper()
	conn := n.Conn(t)
	tr := &quic.Transport{Conn: conn}
	t.Cleanup(func() {
		tr.Close()
		conn.Close()
	})
	return tr
}

// dialRaw makes a QUIC connection from a new host that is not ours.
func dialRaw(t *testing.T, n *linktest.Net, s *site, conf *tls.Config) *quic.Conn {
	t.Helper()
	conn, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), conf, rawConf())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// serveRaw runs f for each connection to a new host that is not ours, and
// returns its address.
func serveRaw(t *testing.T, n *linktest.Net, conf *tls.Config, f func(context.Context, *quic.Conn)) string {
	t.Helper()
	tr := transport(t, n)
	ql, err := tr.Listen(conf, rawConf())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		ql.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := ql.Accept(ctx)
			if err != nil {
				return
			}
			wg.Go(func() { f(ctx, conn) })
		}
	})
	return tr.Conn.LocalAddr().String()
}

// bindingOf is what a stranger who dialled with key knows of his connection.
func bindingOf(t *testing.T, conn *quic.Conn, dialer, listener identity.ID) handshake.Binding {
	t.Helper()
	state := conn.ConnectionState().TLS
	x, err := state.ExportKeyingMaterial(proto.ExporterLabel, nil, proto.ExporterBytes)
	if err != nil {
		t.Fatal(err)
	}
	return handshake.Binding{Exporter: x, Dialer: dialer, Listener: listener}
}

// helloFor makes the P2P_HELLO frame of a valid dialer.
func helloFor(t *testing.T, b handshake.Binding, cred token.Credential, want proto.Caps) (*handshake.Dialer, []byte) {
	t.Helper()
	d, err := handshake.NewDialer(b, cred, want, proto.WindowBytes)
	if err != nil {
		t.Fatal(err)
	}
	return d, append(wire.AppendHeader(nil, wire.Header{Type: wire.TypeHello, Bytes: len(d.Hello)}), d.Hello...)
}

// say opens the stream, sends a frame and reads the answer.
func say(t *testing.T, conn *quic.Conn, frame []byte) (*quic.Stream, wire.Type, []byte, error) {
	t.Helper()
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write(frame); err != nil {
		return stream, 0, nil, err
	}
	typ, body, err := wire.ReadFrame(stream, wire.TypeOK, wire.TypeDeny)
	return stream, typ, body, err
}

// wantClosed checks that the listener closes a connection with one of the given
// codes within a time.
func wantClosed(t *testing.T, conn *quic.Conn, within time.Duration, want ...proto.Code) {
	t.Helper()
	select {
	case <-conn.Context().Done():
	case <-time.After(within):
		t.Fatalf("connection is open after %s, want it closed with %v", within, want)
	}
	err := context.Cause(conn.Context())
	e, ok := errors.AsType[*quic.ApplicationError](err)
	if !ok || !e.Remote || !slices.Contains(want, proto.CodeFromWire(uint64(e.ErrorCode))) {
		t.Errorf("closed with %v, want the peer's code for %v", err, want)
	}
}

// The exact bytes of a valid dialer's P2P_HELLO are worth nothing on any other
// connection, not even one with the dialer's own key.
func TestStolenProof(t *testing.T) {
	t.Parallel()
	for _, sameKey := range []bool{false, true} {
		t.Run(fmt.Sprintf("own key %v", sameKey), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				victim := newKey(t)
				honest := dialRaw(t, n, s, tlsConf(certificate(t, victim)))
				_, frame := helloFor(t, bindingOf(t, honest, victim.ID(), s.key.ID()), cred, proto.CapSend)

				thief := newKey(t)
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

// selfSigned makes a certificate with any kind of key.
func selfSigned(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// strangeCertificates are those that no node shows.
func strangeCertificates(t *testing.T) map[string][]tls.Certificate {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	two := certificate(t, newKey(t))
	two.Certificate = append(two.Certificate, certificate(t, newKey(t)).Certificate...)
	// A certificate for a node's key that another has signed.
	_, caKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]tls.Certificate{
		"two":            {two},
		"RSA":            {selfSigned(t, rsaKey)},
		"ECDSA":          {selfSigned(t, ecKey)},
		"not by the key": {{Certificate: [][]byte{der}, PrivateKey: private}},
	}
}

func TestStrangeClientCertificates(t *testing.T) {
	t.Parallel()
	cases := strangeCertificates(t)
	cases["none"] = nil
	for name, certs := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				conn, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), tlsConf(certs...), rawConf())
				if err == nil { // in TLS 1.3 the client is done before its certificate is looked at
					select {
					case <-conn.Context().Done():
					case <-time.After(proto.HelloTimeout):
						t.Fatal("connection is open, want it refused in the TLS handshake")
					}
					err = context.Cause(conn.Context())
				}
				if e, ok := errors.AsType[*quic.TransportError](err); !ok || !e.Remote || !e.ErrorCode.IsCryptoError() {
					t.Errorf("got %v, want the listener's TLS alert", err)
				}
				s.acceptNone(t)
				if got := s.asked.Load(); got != 0 {
					t.Errorf("listener judged %d P2P_HELLOs, want none", got)
				}
			})
		})
	}
}

func TestStrangeServerCertificates(t *testing.T) {
	t.Parallel()
	for name, certs := range strangeCertificates(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				e, _ := n.Endpoint(t)
				addr := serveRaw(t, n, tlsConf(certs...), func(ctx context.Context, conn *quic.Conn) {
					if _, err := conn.AcceptStream(ctx); err == nil {
						t.Error("dialer opened its stream, want none")
					}
				})
				target := link.Target{ID: newKey(t).ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend}
				_, err := e.Dial(t.Context(), target)
				wantCode(t, "dial", err, proto.Identity)
			})
		})
	}
}

func TestOwnKeyAtListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		conn := dialRaw(t, n, s, tlsConf(certificate(t, s.key)))
		select {
		case <-conn.Context().Done():
		case <-time.After(proto.HelloTimeout):
			t.Error("connection with the listener's own key is open, want it refused")
		}
		s.acceptNone(t)
	})
}

func TestOtherALPN(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		key := newKey(t)
		for _, protocols := range [][]string{{"mesh/2"}, nil} {
			conf := tlsConf(certificate(t, key))
			conf.NextProtos = protocols
			_, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), conf, rawConf())
			if e, ok := errors.AsType[*quic.TransportError](err); !ok || !e.ErrorCode.IsCryptoError() {
				t.Errorf("stranger who speaks %v got %v, want a TLS alert", protocols, err)
			}
		}
		s.acceptNone(t)

		conf := tlsConf(certificate(t, key))
		conf.NextProtos = []string{"mesh/2"}
		addr := serveRaw(t, n, conf, func(context.Context, *quic.Conn) {})
		e, _ := n.Endpoint(t)
		_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
		wantCode(t, "dial", err, proto.Version)
	})
}

// badFrames are first frames that break the protocol.
func badFrames() map[string][]byte {
	header := func(length uint32, typ wire.Type, body ...byte) []byte {
		return append(append(binary.BigEndian.AppendUint32(nil, length), byte(typ)), body...)
	}
	whole := func(typ wire.Type, body []byte) []byte { return header(uint32(len(body)), typ, body...) }
	return map[string][]byte{
		"4 GiB":            header(0xffffffff, wire.TypeHello),
		"4 GiB chunk":      header(0xffffffff, wire.TypeChunk),
		"unknown type":     whole(0x7f, []byte("{}")),
		"chunk first":      whole(wire.TypeChunk, make([]byte, proto.ChunkHeaderBytes+100)),
		"ok first":         whole(wire.TypeOK, []byte("{}")),
		"garbage":          whole(wire.TypeHello, []byte("\x00\xff{[garbage")),
		"deep JSON":        whole(wire.TypeHello, bytes.Repeat([]byte("["), proto.MaxUnprovenFrameBytes)),
		"empty":            whole(wire.TypeHello, nil),
		"4 KiB and 1":      whole(wire.TypeHello, bytes.Repeat([]byte(" "), proto.MaxUnprovenFrameBytes+1)),
		"4 KiB and no end": header(proto.MaxUnprovenFrameBytes, wire.TypeHello, '{'),
	}
}

// It is not parallel, to measure what is allocated.
func TestBadFirstFrame(t *testing.T) {
	for name, frame := range badFrames() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				conn := dialRaw(t, n, s, tlsConf(certificate(t, newKey(t))))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				stream, err := conn.OpenStreamSync(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Write(frame); err != nil {
					t.Fatal(err)
				}
				want := []proto.Code{proto.Protocol, proto.Denied}
				if name == "4 KiB and no end" {
					want = []proto.Code{proto.Timeout}
				}
				wantClosed(t, conn, proto.HelloTimeout+time.Second, want...)
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
					t.Errorf("allocated %d bytes, want less than 8 MiB", got)
				}
				s.acceptNone(t)
			})
		})
	}
}

// The same from a listener: a dialer takes no more from it.
func TestBadFirstAnswer(t *testing.T) {
	t.Parallel()
	answers := badFrames()
	delete(answers, "4 KiB and no end")
	answers["4 KiB and 1 of P2P_DENY"] = append([]byte{0, 0, 0x10, 1, byte(wire.TypeDeny)}, make([]byte, 4097)...)
	answers["strange class"] = append([]byte{0, 0, 0, 16, byte(wire.TypeDeny)}, `{"class":"okay"}`...)
	for name, frame := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				key := newKey(t)
				addr := serveRaw(t, n, tlsConf(certificate(t, key)), func(ctx context.Context, conn *quic.Conn) {
					stream, err := conn.AcceptStream(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = stream.Write(frame)
					wantClosed(t, conn, proto.HelloTimeout, proto.Protocol)
				})
				e, _ := n.Endpoint(t)
				_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
				wantCode(t, "dial", err, proto.Protocol)
			})
		})
	}
}

// A listener with the right key who does not know the secret, or never answers.
func TestListenerWithoutSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want proto.Code
	}{{"forges", proto.Identity}, {"says nothing", proto.Unreachable}, {"ends", proto.Protocol}, {"opens streams", proto.Unreachable}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				key := newKey(t)
				addr := serveRaw(t, n, tlsConf(certificate(t, key)), func(ctx context.Context, conn *quic.Conn) {
					stream, err := conn.AcceptStream(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					switch c.name {
					case "forges":
						_, _ = stream.Write(wire.AppendFrame(nil, &wire.OKMessage{
							Granted: "send", Window: proto.MinWindowBytes, Nonce: make([]byte, 32), Proof: make([]byte, 32),
						}))
					case "ends":
						stream.Close()
					case "opens streams":
						if _, err := conn.OpenStream(); err == nil {
							t.Error("listener opened a stream, want none")
						}
						if _, err := conn.OpenUniStream(); err == nil {
							t.Error("listener opened a uni stream, want none")
						}
					}
					<-conn.Context().Done()
				})
				e, _ := n.Endpoint(t)
				cred := token.Credential{Method: wire.MethodToken, Public: make([]byte, 16), Secret: []byte("secret")}
				begun := time.Now()
				_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: cred, Want: proto.CapSend})
				wantCode(t, "dial", err, c.want)
				if took := time.Since(begun); took > proto.DialTimeout {
					t.Errorf("took %s, want at most %s", took, proto.DialTimeout)
				}
			})
		})
	}
}

// Neither silence nor a P2P_HELLO that comes a byte at a time keeps a
// connection open.
func TestHelloTimeout(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"silence", "dribble", "stream and nothing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				key := newKey(t)
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

// A dialer has one bidirectional stream and nothing else.
func TestOneStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := newKey(t)
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

// Before the proof a listener takes little, however much is sent.
func TestUnprovenWindow(t *testing.T) {
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
		key := newKey(t)
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
		if err == nil || took > proto.UnprovenWindowBytes {
			t.Errorf("listener took %d bytes (%v), want at most %d", took, err, proto.UnprovenWindowBytes)
		}
		if got := crossed.Load(); got < proto.UnprovenWindowBytes/2 || got > proto.UnprovenWindowBytes*5/4 {
			t.Errorf("%d bytes crossed the network, want about %d", got, proto.UnprovenWindowBytes)
		}
		close(s.hold) // it was a valid P2P_HELLO: from here on, the window is large
		s.accept(t)
		conn.CloseWithError(proto.CodeBase, "")
	})
}

// Ends before there is a whole P2P_HELLO. None of them is a bug of ours.
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
				conn := dialRaw(t, n, s, tlsConf(certificate(t, newKey(t))))
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
