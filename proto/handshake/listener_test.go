package handshake_test

import (
	"bytes"
	"errors"
	"testing"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// Only a proof with the right secret, for this TLS session and these two nodes, and in
// the dialer's role, is accepted. A wrong proof takes neither a use nor a place.
func TestWrongProofs(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	right := dial(t, b, wire.MethodToken, secret).Hello
	altered := func(change func(h *wire.Hello)) []byte {
		var h wire.Hello
		if err := wire.ParseBody(right, &h); err != nil {
			t.Fatal(err)
		}
		change(&h)
		return wire.AppendBody(nil, &h)
	}
	own := (&desk{secret: secret, caps: proto.AllCaps}).listener().Answer(b, right)
	reflected, ok := own.Answer.(*wire.OKMessage)
	if !ok {
		t.Fatalf("got %v", own.Err)
	}
	for what, c := range map[string]struct {
		b    handshake.Binding
		body []byte
	}{
		"another TLS session": {binding(9, 2, 3), right},
		"another dialer":      {binding(1, 9, 3), right},
		"another listener":    {binding(1, 2, 9), right},
		"the ends swapped":    {binding(1, 3, 2), right},
		"another secret":      {b, dial(t, b, wire.MethodToken, []byte("another")).Hello},
		"no secret":           {b, dial(t, b, wire.MethodToken, nil).Hello},
		"more wanted":         {b, altered(func(h *wire.Hello) { h.Want = "send,recv" })},
		"another token":       {b, altered(func(h *wire.Hello) { h.Token[0]++ })},
		"another method":      {b, altered(func(h *wire.Hello) { h.Method = wire.MethodCapability })},
		"another window":      {b, altered(func(h *wire.Hello) { h.Window++ })},
		"another nonce":       {b, altered(func(h *wire.Hello) { h.Nonce[0]++ })},
		"another proof":       {b, altered(func(h *wire.Hello) { h.Proof[31]++ })},
		"the listener's own":  {b, altered(func(h *wire.Hello) { h.Proof = reflected.Proof })},
	} {
		d := &desk{secret: secret, caps: proto.AllCaps, full: true}
		v := d.listener().Answer(c.b, c.body)
		xtest.WantCode(t, what, v.Err, proto.Denied)
		if deny, ok := v.Answer.(*wire.Deny); !ok || deny.Class != wire.ClassDenied {
			t.Errorf("%s: answered with %+v, want a plain denial", what, v.Answer)
		}
		if d.claimed != 0 || d.reserved != 0 {
			t.Errorf("%s: took %d claims and %d places", what, d.claimed, d.reserved)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for _, c := range []struct {
		what   string
		desk   desk
		want   proto.Code
		class  string
		claims int
	}{
		{"busy", desk{secret: secret, caps: proto.CapSend, full: true}, proto.Busy, wire.ClassBusy, 1},
		{"used up and busy", desk{secret: secret, caps: proto.CapSend, full: true, usedUp: true}, proto.Denied, wire.ClassDenied, 1},
		{"not allowed", desk{secret: secret, caps: proto.CapRecv}, proto.Capability, wire.ClassCapability, 0},
	} {
		d := dial(t, b, wire.MethodToken, secret)
		v := c.desk.listener().Answer(b, d.Hello)
		xtest.WantCode(t, c.what+" at the listener", v.Err, c.want)
		_, _, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		xtest.WantCode(t, c.what+" at the dialer", err, c.want)
		if c.desk.claimed != c.claims {
			t.Errorf("%s: got %d claims of the token, want %d", c.what, c.desk.claimed, c.claims)
		}
	}
	v := (&desk{}).listener().Answer(b, []byte(`{"version":1}`))
	xtest.WantCode(t, "malformed", v.Err, proto.Protocol)
	body := bytes.Replace(dial(t, b, wire.MethodKey, nil).Hello, []byte(`"version":1`), []byte(`"version":2`), 1)
	v = (&desk{caps: proto.AllCaps}).listener().Answer(b, body)
	xtest.WantCode(t, "another version", v.Err, proto.Version)
	_, _, err := dial(t, binding(1, 2, 3), wire.MethodKey, nil).Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
	xtest.WantCode(t, "another version at the dialer", err, proto.Version)
}

// A peer whose token is used up is denied. What fails at the listener itself is no
// decision about the peer: that is told that the listener is busy, and may come again.
// No place stays taken.
func TestFailsAfterTheProof(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for what, c := range map[string]struct {
		err   error
		code  proto.Code
		class string
		fault bool
	}{
		"used up":      {proto.Errorf(proto.Denied, "used up"), proto.Denied, wire.ClassDenied, false},
		"broken file":  {proto.Errorf(proto.Config, "broken"), proto.Busy, wire.ClassBusy, true},
		"full disk":    {proto.Errorf(proto.Space, "full"), proto.Busy, wire.ClassBusy, true},
		"without code": {errors.New("broken"), proto.Busy, wire.ClassBusy, true},
	} {
		err := c.err
		l := (&desk{}).listener()
		l.Guard = guard{token.Admission{Secret: secret, Caps: proto.AllCaps, Claim: func() error { return err }}, nil}
		places := 0
		l.Reserve = func(identity.ID) bool { places++; return true }
		l.Release = func(identity.ID) { places-- }
		v := l.Answer(b, dial(t, b, wire.MethodToken, secret).Hello)
		xtest.WantCode(t, what, v.Err, c.code)
		if deny, ok := v.Answer.(*wire.Deny); !ok || deny.Class != c.class || places != 0 {
			t.Errorf("%s: answered with %+v and %d places taken, want class %s and none", what, v.Answer, places, c.class)
		}
		if (v.Fault != nil) != c.fault {
			t.Errorf("%s: got fault %v, want one: %v", what, v.Fault, c.fault)
		}
		l.Guard = guard{err: err}
		v = l.Answer(b, dial(t, b, wire.MethodToken, secret).Hello)
		xtest.WantCode(t, what+" before the proof", v.Err, c.code)
	}
}

// A ping gets the refusal of its kind where a dialer would be admitted, whatever is
// accepted. Nothing is claimed and no place is taken.
func TestPing(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for _, tt := range []struct {
		name  string
		caps  proto.Caps
		full  bool
		spent error
		want  proto.Code
	}{
		{"admitted", proto.CapSend, false, nil, proto.Declined},
		{"no place", proto.CapSend, true, nil, proto.Declined},
		{"nothing allowed", 0, false, nil, proto.Capability},
		{"used up", proto.CapSend, false, proto.Errorf(proto.Denied, "used up"), proto.Denied},
		{"broken file", proto.CapSend, false, proto.Errorf(proto.Config, "broken"), proto.Busy},
	} {
		d := &desk{secret: secret, caps: tt.caps, full: tt.full}
		l := d.listener()
		l.Takes = func(string) bool { return true }
		l.Guard = guard{token.Admission{Secret: secret, Caps: tt.caps, Claim: d.claim, Claimable: func() error { return tt.spent }}, nil}
		c, err := handshake.NewDialer(b, token.Credential{Method: wire.MethodToken, Public: make([]byte, 8), Secret: secret}, proto.AllCaps, wire.KindPing, window, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		v := l.Answer(b, c.Hello)
		xtest.WantCode(t, tt.name, v.Err, tt.want)
		if d.claimed != 0 || d.reserved != 0 {
			t.Errorf("%s: got %d claims and %d places, want none", tt.name, d.claimed, d.reserved)
		}
		_, _, err = c.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		if got := errors.Is(err, handshake.ErrKind); got != (tt.want == proto.Declined) {
			t.Errorf("%s: the dialer got %v", tt.name, err)
		}
	}
}
