package handshake_test

import (
	"bytes"
	"testing"

	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A dialer accepts no answer of a listener that does not have the secret.
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
		xtest.WantCode(t, what, err, proto.Identity)
	}
	_, _, err := dial(t, b, wire.MethodToken, secret).Finish(wire.TypeOK, wire.AppendBody(nil, good))
	xtest.WantCode(t, "the answer to another HELLO", err, proto.Identity)
}

// A listener with the right secret still can't grant more than was asked for.
func TestGrants(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for granted, want := range map[string]proto.Code{
		"send": proto.OK, "recv": proto.Protocol, "send,recv": proto.Protocol, "tty:control": proto.Protocol,
	} {
		d := dial(t, b, wire.MethodToken, secret) // wants to send
		body := answer(t, b, secret, d.Hello, wire.OKMessage{Granted: granted, Window: window, Nonce: make([]byte, proto.NonceBytes)})
		_, got, err := d.Finish(wire.TypeOK, body)
		xtest.WantCode(t, "granted "+granted, err, want)
		if want != proto.OK && got != 0 {
			t.Errorf("granted %s: got %v with the error, want nothing", granted, got)
		}
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	d := dial(t, binding(1, 2, 3), wire.MethodKey, nil)
	for body, want := range map[string]proto.Code{
		`{"class":"denied"}`: proto.Denied, `{"class":"busy"}`: proto.Busy, `{"class":"capability"}`: proto.Capability,
		`{"class":"version"}`: proto.Version,
		`{"class":"other"}`:   proto.Protocol, `{"class":""}`: proto.Protocol, `{}`: proto.Protocol, ``: proto.Protocol,
	} {
		_, granted, err := d.Finish(wire.TypeDeny, []byte(body))
		xtest.WantCode(t, body, err, want)
		if granted != 0 {
			t.Errorf("%s: got %v, want nothing granted", body, granted)
		}
	}
	for _, body := range []string{``, `{}`, `{"class":"denied"}`, `null`} {
		_, _, err := d.Finish(wire.TypeOK, []byte(body))
		xtest.WantCode(t, "P2P_OK "+body, err, proto.Protocol)
	}
}

// Each kind of dialer detects a listener that does not have the secret, or that
// replays the P2P_HELLO.
func TestWrongListener(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for _, method := range []string{wire.MethodToken, wire.MethodCapability, wire.MethodResume} {
		d := dial(t, b, method, secret)
		m := wire.OKMessage{Granted: "send", Window: window, Nonce: make([]byte, proto.NonceBytes)}
		_, _, err := d.Finish(wire.TypeOK, answer(t, b, []byte("a guess"), d.Hello, m))
		xtest.WantCode(t, method+": another secret", err, proto.Identity)
		_, _, err = d.Finish(wire.TypeOK, answer(t, b, nil, d.Hello, m))
		xtest.WantCode(t, method+": no secret", err, proto.Identity)
		_, _, err = d.Finish(wire.TypeOK, answer(t, binding(1, 3, 2), secret, d.Hello, m))
		xtest.WantCode(t, method+": the ends swapped", err, proto.Identity)
		_, _, err = d.Finish(wire.TypeOK, answer(t, binding(9, 2, 3), secret, d.Hello, m))
		xtest.WantCode(t, method+": another TLS session", err, proto.Identity)
		var h wire.Hello
		if err := wire.ParseBody(d.Hello, &h); err != nil {
			t.Fatal(err)
		}
		m.Proof = h.Proof
		_, _, err = d.Finish(wire.TypeOK, wire.AppendBody(nil, &m))
		xtest.WantCode(t, method+": the dialer's own proof", err, proto.Identity)
	}
}
