package hub_test

import (
	"testing"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// A bearer holds for one secret, one session, one dialer and one listener.
func TestBearer(t *testing.T) {
	t.Parallel()
	dialer, listener, other := xtest.NewKey(t).ID(), xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	session, secret := hub.NewID(), []byte("the secret of a token")
	b := hub.NewBearer(hub.MethodKnown, []byte("12345678"), secret, session, dialer, listener)
	if !b.Proves(secret, session, dialer, listener) {
		t.Fatal("the bearer is not taken")
	}
	for what, c := range map[string]struct {
		secret           []byte
		session          hub.ID
		dialer, listener identity.ID
	}{
		"another secret":   {[]byte("the secret of another"), session, dialer, listener},
		"no secret":        {nil, session, dialer, listener},
		"another session":  {secret, hub.NewID(), dialer, listener},
		"another dialer":   {secret, session, other, listener},
		"another listener": {secret, session, dialer, other},
		"the ends swapped": {secret, session, listener, dialer},
	} {
		if b.Proves(c.secret, c.session, c.dialer, c.listener) {
			t.Errorf("%s: the bearer is taken", what)
		}
	}
	// What no secret makes is worth nothing where no secret is known, as with method "key".
	if none := hub.NewBearer(hub.MethodKnown, nil, nil, session, dialer, listener); none.Proves(nil, session, dialer, listener) {
		t.Error("a bearer without a secret is taken")
	}
}
