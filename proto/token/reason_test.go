package token_test

import (
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A token admits a node, and its links go on, while the reason for it is there; the reason
// outlives the token.
func TestReason(t *testing.T) {
	t.Parallel()
	r, _, _ := newRegistry(t)
	dialer := xtest.NewKey(t).ID()
	var gone error
	tok, err := r.IssueTo(dialer, proto.CapSend, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.IssueTo(dialer, proto.CapSend, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	xtest.WantCode(t, "because", r.Because(tok.ID, token.Reason{What: "a rule", Gone: func() error { return gone }}), proto.OK)
	xtest.WantCode(t, "because", r.Because(other.ID, token.Reason{What: "a yes"}), proto.OK)
	find := func(t token.Token) error {
		_, err := r.Find(&wire.Hello{Method: wire.MethodToken, Token: t.ID[:]}, dialer)
		return err
	}
	for what, check := range map[string]func(token.Token) error{
		"a new link": find,
		"the link":   func(t token.Token) error { return r.CheckAccess(dialer, &t.ID, proto.CapSend) },
	} {
		gone = nil
		xtest.WantCode(t, what, check(tok), proto.OK)
		gone = proto.Errorf(proto.Denied, "the rule is gone")
		xtest.WantCode(t, what+", its reason gone", check(tok), proto.Denied)
		xtest.WantCode(t, what+" for another reason", check(other), proto.OK)
	}
	r.Cancel(tok.ID)
	xtest.WantCode(t, "the link of a token that is taken back, its reason gone", r.CheckAccess(dialer, &tok.ID, proto.CapSend), proto.Denied)
}

// A registry keeps a bounded number of reasons, and forgets none that a link may need.
func TestReasonLimit(t *testing.T) {
	t.Parallel()
	r, _, _ := newRegistry(t)
	for n := range token.MaxReasons {
		if err := r.Because(token.ID{byte(n), byte(n >> 8), 1}, token.Reason{}); err != nil {
			t.Fatalf("reason %d: %v", n+1, err)
		}
	}
	if err := r.Because(token.ID{0, 0, 2}, token.Reason{}); err == nil {
		t.Errorf("reason %d is taken, want it refused", token.MaxReasons+1)
	}
}
