package link_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// Offsets of the claims of a capability that a bearer would like to change: see
// mesh-protocol(7).
const (
	capsAt    = 1 + 32 + 8
	expiresAt = capsAt + 1
	usesAt    = expiresAt + 8
	holderAt  = usesAt + 2
)

// Whatever is wrong with a token, its bearer is told "denied" and nothing else. A good
// token is accepted afterwards.
func TestDeniedTokens(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s, other := newSite(t, n, proto.AllCaps, 9), newSite(t, n, proto.AllCaps, 9)
		e, key := n.Endpoint(t)
		issued := func(from *site, ttl time.Duration) token.Credential {
			cred, _ := from.issue(t, proto.CapSend, ttl, 1)
			return cred
		}
		capability := func(from *site, ttl time.Duration, uses uint16, holder identity.ID) token.Token {
			t.Helper()
			tok, err := token.NewCapability(from.key, proto.CapSend, ttl, uses, holder, nil)
			if err != nil {
				t.Fatal(err)
			}
			return tok
		}
		altered := func(cred token.Credential, at int, to ...byte) token.Credential {
			cred.Public = bytes.Clone(cred.Public)
			copy(cred.Public[at:], to)
			return cred
		}
		revoked := func(tok token.Token) token.Credential {
			t.Helper()
			if err := token.Revoke(s.dir, tok.ID); err != nil {
				t.Fatal(err)
			}
			return tok.Credential()
		}
		used := func(cred token.Credential) token.Credential {
			t.Helper()
			thief, _ := n.Endpoint(t)
			dl, ll := s.dial(t, thief, cred, proto.CapSend)
			dl.Close(nil)
			ll.Close(nil)
			return cred
		}
		unknown := issued(s, 0)
		unknown.Public = []byte("nonesuch")
		wrong := issued(s, 0)
		wrong.Secret = bytes.Clone(wrong.Secret)
		wrong.Secret[len(wrong.Secret)-1] ^= 1
		_, tok := s.issue(t, proto.CapSend, 0, 1)
		good := capability(s, time.Hour, 1, identity.ID{}).Credential()
		held := capability(s, time.Hour, 1, xtest.NewKey(t).ID()).Credential()
		own := key.ID()
		unsigned := capability(s, time.Hour, 1, identity.ID{}).Credential()
		unsigned.Secret = make([]byte, 64)
		expiredSession, expiredCapability := issued(s, time.Minute), capability(s, time.Minute, 0, identity.ID{}).Credential()
		<-time.After(2 * time.Minute)

		for what, cred := range map[string]token.Credential{
			"unknown":                    unknown,
			"wrong secret":               wrong,
			"no secret":                  {Method: wire.MethodToken, Public: unknown.Public},
			"another listener's session": issued(other, 0),
			"another listener's":         capability(other, time.Hour, 0, identity.ID{}).Credential(),
			"expired session":            expiredSession,
			"expired capability":         expiredCapability,
			"revoked session":            revoked(tok),
			"revoked capability":         revoked(capability(s, 0, 0, identity.ID{})),
			"used session":               used(issued(s, 0)),
			"used capability":            used(capability(s, 0, 1, identity.ID{}).Credential()),
			"another holder's":           held,
			"holder changed":             altered(held, holderAt, own[:]...),
			"more caps":                  altered(good, capsAt, byte(proto.AllCaps)),
			"later expiry":               altered(good, expiresAt, binary.BigEndian.AppendUint64(nil, 1<<33)...),
			"no expiry":                  altered(good, expiresAt, make([]byte, 8)...),
			"more uses":                  altered(good, usesAt, 0, 2),
			"another id":                 altered(good, capsAt-1, good.Public[capsAt-1]^1),
			"not signed":                 unsigned,
		} {
			_, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
			xtest.WantCode(t, what, err, proto.Denied)
			if err != nil && strings.Contains(err.Error(), "expired") {
				t.Errorf("%s: the dialer learns why: %v", what, err)
			}
		}
		s.acceptNone(t)
		dl, ll := s.dial(t, e, good, proto.CapSend)
		echo(t, dl, ll)
	})
}

// An attacker that replays all bytes of an accepted dialer is denied, even if the
// token is still valid.
func TestReplayOfSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 9)
		cred, _ := s.issue(t, proto.CapSend, 0, 0) // any number of nodes may use it
		key := xtest.NewKey(t)
		honest := dialRaw(t, n, s, tlsConf(certificate(t, key)))
		_, frame := helloFor(t, bindingOf(t, honest, key.ID(), s.key.ID()), cred, proto.CapSend)
		if _, typ, body, err := say(t, honest, frame); err != nil || typ != wire.TypeOK {
			t.Fatalf("answered %s %s (%v), want P2P_OK", typ, body, err)
		}
		s.accept(t)
		for what, k := range map[string]*identity.Key{"the same key": key, "another key": xtest.NewKey(t)} {
			conn := dialRaw(t, n, s, tlsConf(certificate(t, k)))
			_, typ, body, err := say(t, conn, frame)
			if want := `{"class":"denied"}`; err != nil || typ != wire.TypeDeny || string(body) != want {
				t.Errorf("%s: answered %s %s (%v), want P2P_DENY %s", what, typ, body, err, want)
			}
			wantClosed(t, conn, proto.HelloTimeout, proto.Denied)
		}
		s.acceptNone(t)
		honest.CloseWithError(proto.CodeBase, "")
	})
}

// sessionCache counts the TLS session tickets that a listener sends.
type sessionCache struct{ puts atomic.Int32 }

func (c *sessionCache) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (c *sessionCache) Put(string, *tls.ClientSessionState) { c.puts.Add(1) }

// There are no session tickets, so there is no 0-RTT data to replay.
func TestNoTickets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := xtest.NewKey(t)
		var cache sessionCache
		conf := tlsConf(certificate(t, key))
		conf.ClientSessionCache = &cache
		quicConf := rawConf()
		quicConf.TokenStore = quic.NewLRUTokenStore(1, 1)
		conn, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), conf, quicConf)
		if err != nil {
			t.Fatal(err)
		}
		_, frame := helloFor(t, bindingOf(t, conn, key.ID(), s.key.ID()), cred, proto.CapSend)
		if _, typ, _, err := say(t, conn, frame); err != nil || typ != wire.TypeOK {
			t.Fatalf("answered %s (%v), want P2P_OK", typ, err)
		}
		s.accept(t)
		<-time.After(time.Second)
		if got := cache.puts.Load(); got != 0 {
			t.Errorf("got %d session tickets, want none", got)
		}
		conn.CloseWithError(proto.CodeBase, "")
	})
}

// The packets show no secret, node id or data.
func TestNothingInTheClear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var crossed bytes.Buffer
		n := &linktest.Net{Latency: latency, Pass: func(p linktest.Packet) bool {
			mu.Lock()
			defer mu.Unlock()
			crossed.Write(p.Data)
			return true
		}}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend|proto.CapRecv, 0, 1)
		e, key := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend|proto.CapRecv)
		echo(t, dl, ll)
		dl.Close(nil)
		ll.Close(nil)
		mu.Lock()
		defer mu.Unlock()
		if crossed.Len() < 1000 {
			t.Fatalf("saw %d bytes, want a whole link", crossed.Len())
		}
		dialer, listener := key.ID(), s.key.ID()
		for what, secret := range map[string][]byte{
			"the data": []byte("over the link"), "the secret": cred.Secret, "the token's id": cred.Public, "P2P_HELLO": []byte(`"method"`),
			"P2P_OK": []byte(`"granted"`), "the dialer's key": dialer[:], "the listener's key": listener[:], "the transfer's id": dl.Transfer[:],
		} {
			if bytes.Contains(crossed.Bytes(), secret) {
				t.Errorf("the network sees %s", what)
			}
		}
	})
}
