package link_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

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

// strangeCertificates are certificates that no node has.
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
	two := certificate(t, xtest.NewKey(t))
	two.Certificate = append(two.Certificate, certificate(t, xtest.NewKey(t)).Certificate...)
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
				target := link.Target{ID: xtest.NewKey(t).ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend}
				_, err := e.Dial(t.Context(), target)
				xtest.WantCode(t, "dial", err, proto.Identity)
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
		key := xtest.NewKey(t)
		for _, protocols := range [][]string{{"mesh/2"}, nil} {
			conf := tlsConf(certificate(t, key))
			conf.NextProtos = protocols
			_, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), conf, rawConf())
			if e, ok := errors.AsType[*quic.TransportError](err); !ok || !e.ErrorCode.IsCryptoError() {
				t.Errorf("a foreign program that offers %v got %v, want a TLS alert", protocols, err)
			}
		}
		s.acceptNone(t)

		conf := tlsConf(certificate(t, key))
		conf.NextProtos = []string{"mesh/2"}
		addr := serveRaw(t, n, conf, func(context.Context, *quic.Conn) {})
		e, _ := n.Endpoint(t)
		_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
		xtest.WantCode(t, "dial", err, proto.Unreachable) // the answer is not authenticated
	})
}

// A stranger that shows the certificate of another node, and does not have its key, is
// refused as a wrong key, whoever of the two it is.
func TestCopiedCertificate(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		copied := certificate(t, s.key)
		copied.PrivateKey = certificate(t, xtest.NewKey(t)).PrivateKey
		var addr string
		if n.TCP {
			addr = serveTCP(t, n, func(raw net.Conn) { _ = tls.Server(raw, tlsConf(copied)).HandshakeContext(t.Context()) })
		} else {
			addr = serveRaw(t, n, tlsConf(copied), func(context.Context, *quic.Conn) {})
		}
		e, key := n.Endpoint(t)
		_, err := e.Dial(t.Context(), link.Target{ID: s.key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
		xtest.WantCode(t, "dial of a listener with a copied certificate", err, proto.Identity)

		copied = certificate(t, key)
		copied.PrivateKey = certificate(t, xtest.NewKey(t)).PrivateKey
		if n.TCP {
			conn := tls.Client(connect(t, n.Sockets(t), s), tlsConf(copied))
			_ = conn.Handshake() // in TLS 1.3 the client is done before its certificate is looked at
			if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "remote error: tls: error decrypting message") {
				t.Errorf("dialer with a copied certificate got %v, want the alert decrypt_error", err)
			}
		} else {
			conn, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), tlsConf(copied), rawConf())
			if err == nil {
				<-conn.Context().Done()
				err = context.Cause(conn.Context())
			}
			if e, ok := errors.AsType[*quic.TransportError](err); !ok || !e.Remote || e.ErrorCode != 0x100+51 {
				t.Errorf("dialer with a copied certificate got %v, want the alert decrypt_error", err)
			}
		}
		if got := s.asked.Load(); got != 0 {
			t.Errorf("listener judged %d P2P_HELLOs, want none", got)
		}
	})
}
