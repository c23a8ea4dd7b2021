package handshake_test

import (
	"bytes"
	"testing"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

const window = 16 << 20

// desk is a listener's guard that knows one secret, and counts.
type desk struct {
	secret            []byte
	caps              proto.Caps
	full              bool
	claimed, reserved int
}

func (d *desk) Find(*wire.Hello, identity.ID) (token.Admission, error) {
	return token.Admission{Secret: d.secret, Caps: d.caps, Claim: func() error { d.claimed++; return nil }}, nil
}

func (d *desk) Revoked(token.ID) bool { return false }

func (d *desk) listener() *handshake.Listener {
	return &handshake.Listener{
		Guard: d, Offer: proto.AllCaps, Window: window,
		Resume: func([]byte, identity.ID) (token.Admission, error) {
			return token.Admission{Secret: d.secret, Caps: proto.CapSend}, nil
		},
		Reserve: func() bool { d.reserved++; return !d.full },
		Release: func() { d.reserved-- },
	}
}

func binding(exporter, dialer, listener byte) handshake.Binding {
	return handshake.Binding{
		Exporter: bytes.Repeat([]byte{exporter}, proto.ExporterBytes),
		Dialer:   identity.ID{dialer}, Listener: identity.ID{listener},
	}
}

var secret = []byte("the secret of it")

func dial(t *testing.T, b handshake.Binding, method string, secret []byte) *handshake.Dialer {
	t.Helper()
	cred := token.Credential{Method: method, Secret: secret}
	if method != wire.MethodKey {
		cred.Public = make([]byte, 16)
	}
	d, err := handshake.NewDialer(b, cred, proto.CapSend, window)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func wantCode(t *testing.T, what string, err error, want proto.Code) {
	t.Helper()
	if got := proto.CodeOf(err); got != want {
		t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
	}
}

func TestDialogue(t *testing.T) {
	t.Parallel()
	for _, method := range []string{wire.MethodToken, wire.MethodCapability, wire.MethodKey, wire.MethodResume} {
		b := binding(1, 2, 3)
		d := dial(t, b, method, secret)
		v := (&desk{secret: secret, caps: proto.AllCaps}).listener().Answer(b, d.Hello)
		wantCode(t, method, v.Err, proto.OK)
		ok, granted, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		wantCode(t, method, err, proto.OK)
		if granted != proto.CapSend || v.Granted != granted && method != wire.MethodResume || ok.Transfer != v.Transfer || v.Window != window {
			t.Errorf("%s: dialer got %v for %s, listener gave %v for %s", method, granted, ok.Transfer, v.Granted, v.Transfer)
		}
	}
}

// Nothing but the right secret, on this TLS session, between these two nodes,
// said by the dialer, gets in; and nothing is taken for a wrong proof.
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
		wantCode(t, what, v.Err, proto.Denied)
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
		what  string
		desk  desk
		want  proto.Code
		class string
	}{
		{"busy", desk{secret: secret, caps: proto.CapSend, full: true}, proto.Busy, wire.ClassBusy},
		{"not allowed", desk{secret: secret, caps: proto.CapRecv}, proto.Capability, wire.ClassCapability},
	} {
		d := dial(t, b, wire.MethodToken, secret)
		v := c.desk.listener().Answer(b, d.Hello)
		wantCode(t, c.what+" at the listener", v.Err, c.want)
		_, _, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		wantCode(t, c.what+" at the dialer", err, c.want)
		if c.desk.claimed != 0 {
			t.Errorf("%s: the token is claimed all the same", c.what)
		}
	}
	v := (&desk{}).listener().Answer(b, []byte(`{"version":1}`))
	wantCode(t, "malformed", v.Err, proto.Protocol)
	body := bytes.Replace(dial(t, b, wire.MethodKey, nil).Hello, []byte(`"version":1`), []byte(`"version":2`), 1)
	v = (&desk{caps: proto.AllCaps}).listener().Answer(b, body)
	wantCode(t, "another version", v.Err, proto.Version)
}

// A dialer takes no answer but from who knows the secret too.
func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	d := dial(t, b, wire.MethodToken, secret)
	good, ok := (&desk{secret: secret, caps: proto.AllCaps}).listener().Answer(b, d.Hello).Answer.(*wire.OKMessage)
	if !ok {
		t.Fatal("no P2P_OK")
	}
	for what, change := range map[string]func(m *wire.OKMessage){
		"another grant":    func(m *wire.OKMessage) { m.Granted = "send,recv" },
		"another transfer": func(m *wire.OKMessage) { m.Transfer[0]++ },
		"another window":   func(m *wire.OKMessage) { m.Window++ },
		"another nonce":    func(m *wire.OKMessage) { m.Nonce[0]++ },
		"another proof":    func(m *wire.OKMessage) { m.Proof[0]++ },
	} {
		m := *good
		m.Nonce, m.Proof = bytes.Clone(good.Nonce), bytes.Clone(good.Proof)
		change(&m)
		_, _, err := d.Finish(wire.TypeOK, wire.AppendBody(nil, &m))
		wantCode(t, what, err, proto.Identity)
	}
	_, _, err := dial(t, b, wire.MethodToken, secret).Finish(wire.TypeOK, wire.AppendBody(nil, good))
	wantCode(t, "the answer to another HELLO", err, proto.Identity)
}
