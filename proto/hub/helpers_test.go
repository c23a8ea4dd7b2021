package hub_test

import (
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// session is two ends and a hub, with a signed request.
type session struct {
	hub, dialer, listener *identity.Key
	seal                  *hub.SealKey
	request               hub.Request
}

func newSession(t testing.TB) *session {
	t.Helper()
	s := &session{hub: xtest.NewKey(t), dialer: xtest.NewKey(t), listener: xtest.NewKey(t)}
	var err error
	if s.seal, err = hub.NewSealKey(); err != nil {
		t.Fatal(err)
	}
	s.request = hub.Request{Session: hub.NewID(), To: "bob", Kind: hub.KindPipe, Want: "send,recv", Seal: s.seal.Public(), AnswerS: 20}
	s.request.Sign(s.dialer, s.hub.ID())
	return s
}

// accept returns what the dialer gets of the listener's accept, and the listener's keys.
func (s *session) accept(t testing.TB, g hub.Grant) (*hub.Created, *hub.Keys) {
	t.Helper()
	a, keys, err := s.request.Accept(s.listener, s.hub.ID(), s.dialer.ID(), g)
	if err != nil {
		t.Fatal(err)
	}
	return &hub.Created{Session: a.Session, Role: hub.RoleDialer, Peer: s.listener.ID(), Kind: hub.KindPipe, SessionToken: a.Sealed, Sig: a.Sig}, keys
}

func newLogin(hubKey *identity.Key) hub.Login {
	return hub.Login{
		Origin: "wss://hub.example:443", Hub: hubKey.ID(),
		ClientNonce: hub.NewNonce(hub.ClientNonceBytes), HubNonce: hub.NewNonce(hub.NonceBytes), Binding: hub.NewNonce(hub.BindingBytes),
	}
}

func newInvite(t testing.TB, url string) hub.Invite {
	t.Helper()
	u, err := hub.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	u.Key = xtest.NewKey(t).ID()
	return hub.NewInvite(u, time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC))
}

// flip changes one bit in a copy of b.
func flip(b []byte) []byte {
	out := append([]byte(nil), b...)
	out[len(out)/2] ^= 1
	return out
}

func wantError(t testing.TB, what string, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: got error %v, want one with %q", what, err, part)
	}
}
