package link_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

func TestWrongPin(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		target := s.target(cred, proto.CapSend)
		target.ID = xtest.NewKey(t).ID()
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial", err, proto.Identity)
		s.acceptNone(t)
		if got := s.asked.Load(); got != 0 {
			t.Errorf("listener got %d P2P_HELLOs, want none", got)
		}
		s.dial(t, e, cred, proto.CapSend) // the token is as good as before
	})
}

func TestOwnKey(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		for _, e := range []*link.Endpoint{s.endpoint, n.EndpointFor(t, s.key)} {
			_, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
			xtest.WantCode(t, "dial", err, proto.Identity)
		}
	})
}

// A listener that has the right key but does not know the secret, or never answers.
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
				key := xtest.NewKey(t)
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
				xtest.WantCode(t, "dial", err, c.want)
				if took := time.Since(begun); took > proto.DialTimeout {
					t.Errorf("took %s, want at most %s", took, proto.DialTimeout)
				}
			})
		})
	}
}
