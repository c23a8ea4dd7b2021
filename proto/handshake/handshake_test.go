package handshake_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

const window = 16 << 20

// desk is a listener's guard that knows one secret, and counts.
type desk struct {
	secret            []byte
	caps              proto.Caps
	full, usedUp      bool
	claimed, reserved int
}

func (d *desk) Find(*wire.Hello, identity.ID) (token.Admission, error) {
	return token.Admission{Secret: d.secret, Caps: d.caps, Claim: d.claim}, nil
}

func (d *desk) claim() error {
	d.claimed++
	if d.usedUp {
		return proto.Errorf(proto.Denied, "used up")
	}
	return nil
}

func (d *desk) Withdrawn(identity.ID, *token.ID, proto.Caps) bool { return false }

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
		wantCode(t, c.what+" at the listener", v.Err, c.want)
		_, _, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		wantCode(t, c.what+" at the dialer", err, c.want)
		if c.desk.claimed != c.claims {
			t.Errorf("%s: got %d claims of the token, want %d", c.what, c.desk.claimed, c.claims)
		}
	}
	v := (&desk{}).listener().Answer(b, []byte(`{"version":1}`))
	wantCode(t, "malformed", v.Err, proto.Protocol)
	body := bytes.Replace(dial(t, b, wire.MethodKey, nil).Hello, []byte(`"version":1`), []byte(`"version":2`), 1)
	v = (&desk{caps: proto.AllCaps}).listener().Answer(b, body)
	wantCode(t, "another version", v.Err, proto.Version)
	_, _, err := dial(t, binding(1, 2, 3), wire.MethodKey, nil).Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
	wantCode(t, "another version at the dialer", err, proto.Version)
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

// prove is the formula of package proto, written once more: HMAC-SHA-256 under
// HKDF's key of the role, over both ids and the parts.
func prove(t *testing.T, b handshake.Binding, label string, secret []byte, parts ...[]byte) []byte {
	t.Helper()
	key, err := hkdf.Key(sha256.New, secret, b.Exporter, label, 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	for _, p := range append([][]byte{b.Dialer[:], b.Listener[:]}, parts...) {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// answer returns the body of m with the proof that the listener must make.
func answer(t *testing.T, b handshake.Binding, secret, hello []byte, m wire.OKMessage) []byte {
	t.Helper()
	m.Proof = make([]byte, proto.ProofBytes)
	m.Proof = prove(t, b, proto.LabelListener, secret,
		binary.BigEndian.AppendUint32(nil, uint32(len(hello))), hello, wire.AppendBody(nil, &m))
	return wire.AppendBody(nil, &m)
}

// A listener that knows the secret still grants no more than was asked for.
func TestGrants(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for granted, want := range map[string]proto.Code{
		"send": proto.OK, "recv": proto.Protocol, "send,recv": proto.Protocol, "tty:control": proto.Protocol,
	} {
		d := dial(t, b, wire.MethodToken, secret) // wants to send
		body := answer(t, b, secret, d.Hello, wire.OKMessage{Granted: granted, Window: window, Nonce: make([]byte, proto.NonceBytes)})
		_, got, err := d.Finish(wire.TypeOK, body)
		wantCode(t, "granted "+granted, err, want)
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
		wantCode(t, body, err, want)
		if granted != 0 {
			t.Errorf("%s: got %v, want nothing granted", body, granted)
		}
	}
	for _, body := range []string{``, `{}`, `{"class":"denied"}`, `null`} {
		_, _, err := d.Finish(wire.TypeOK, []byte(body))
		wantCode(t, "P2P_OK "+body, err, proto.Protocol)
	}
}

// A listener that does not know the secret, or plays the HELLO back, is found
// out by each kind of dialer.
func TestWrongListener(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for _, method := range []string{wire.MethodToken, wire.MethodCapability, wire.MethodResume} {
		d := dial(t, b, method, secret)
		m := wire.OKMessage{Granted: "send", Window: window, Nonce: make([]byte, proto.NonceBytes)}
		_, _, err := d.Finish(wire.TypeOK, answer(t, b, []byte("a guess"), d.Hello, m))
		wantCode(t, method+": another secret", err, proto.Identity)
		_, _, err = d.Finish(wire.TypeOK, answer(t, b, nil, d.Hello, m))
		wantCode(t, method+": no secret", err, proto.Identity)
		_, _, err = d.Finish(wire.TypeOK, answer(t, binding(1, 3, 2), secret, d.Hello, m))
		wantCode(t, method+": the ends swapped", err, proto.Identity)
		_, _, err = d.Finish(wire.TypeOK, answer(t, binding(9, 2, 3), secret, d.Hello, m))
		wantCode(t, method+": another TLS session", err, proto.Identity)
		var h wire.Hello
		if err := wire.ParseBody(d.Hello, &h); err != nil {
			t.Fatal(err)
		}
		m.Proof = h.Proof
		_, _, err = d.Finish(wire.TypeOK, wire.AppendBody(nil, &m))
		wantCode(t, method+": the dialer's own proof", err, proto.Identity)
	}
}

// What happens when the last claim is gone, or our own files are broken: the
// peer hears no more than that it is denied, and its place is free again.
func TestFailsAfterTheProof(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	for what, err := range map[string]error{
		"used up":      proto.Errorf(proto.Denied, "used up"),
		"broken file":  proto.Errorf(proto.Config, "broken"),
		"without code": errors.New("broken"),
	} {
		l := (&desk{}).listener()
		l.Guard = guard{token.Admission{Secret: secret, Caps: proto.AllCaps, Claim: func() error { return err }}, nil}
		places := 0
		l.Reserve = func() bool { places++; return true }
		l.Release = func() { places-- }
		v := l.Answer(b, dial(t, b, wire.MethodToken, secret).Hello)
		wantCode(t, what, v.Err, proto.Denied)
		if deny, ok := v.Answer.(*wire.Deny); !ok || deny.Class != wire.ClassDenied || places != 0 {
			t.Errorf("%s: answered with %+v and %d places taken, want a plain denial and none", what, v.Answer, places)
		}
		l.Guard = guard{err: err}
		v = l.Answer(b, dial(t, b, wire.MethodToken, secret).Hello)
		wantCode(t, what+" before the proof", v.Err, proto.Denied)
	}
}

// guard says the same of every credential.
type guard struct {
	found token.Admission
	err   error
}

func (g guard) Find(*wire.Hello, identity.ID) (token.Admission, error) { return g.found, g.err }

func (g guard) Withdrawn(identity.ID, *token.ID, proto.Caps) bool { return false }

// The whole dialogue with a real registry behind it, for each credential, and
// then on to the transfer's next link; what was said on one link is worth
// nothing on another.
func TestWithRegistry(t *testing.T) {
	t.Parallel()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	book := identity.Book{Dir: t.TempDir()}
	b := binding(1, 2, 0)
	b.Listener = key.ID()
	other := b
	other.Exporter = bytes.Repeat([]byte{7}, proto.ExporterBytes)
	registry := token.NewRegistry(key, book)
	session, err := registry.Issue(proto.CapSend, time.Hour, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	capability, err := token.NewCapability(key, proto.CapSend, time.Hour, 1, b.Dialer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Allow(b.Dialer, proto.CapSend); err != nil {
		t.Fatal(err)
	}
	for _, cred := range []token.Credential{session.Credential(), capability.Credential(), token.KeyCredential()} {
		l := (&desk{}).listener()
		l.Guard = registry
		d, err := handshake.NewDialer(b, cred, proto.CapSend|proto.CapRecv, window)
		if err != nil {
			t.Fatal(err)
		}
		replayed := l.Answer(other, d.Hello)
		wantCode(t, cred.Method+" replayed", replayed.Err, proto.Denied)
		v := l.Answer(b, d.Hello)
		wantCode(t, cred.Method, v.Err, proto.OK)
		ok, granted, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		wantCode(t, cred.Method, err, proto.OK)
		if granted != proto.CapSend {
			t.Errorf("%s: got %v, want %v of all that was asked for", cred.Method, granted, proto.CapSend)
		}

		secret, err := b.ResumeSecret(cred.Secret)
		if err != nil || !bytes.Equal(secret, v.Secret) {
			t.Errorf("%s: the ends have different secrets to resume with (%v)", cred.Method, err)
		}
		l.Resume = func(transfer []byte, dialer identity.ID) (token.Admission, error) {
			if !bytes.Equal(transfer, v.Transfer[:]) || dialer != b.Dialer {
				return token.Admission{}, proto.Errorf(proto.Denied, "no such transfer")
			}
			return token.Admission{Secret: v.Secret, Caps: v.Granted}, nil
		}
		l.Reserve = func() bool { t.Errorf("%s: a resumed transfer takes another place", cred.Method); return true }
		cred.Method, cred.Public, cred.Secret = wire.MethodResume, ok.Transfer[:], secret
		if d, err = handshake.NewDialer(other, cred, granted, window); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "resumed, replayed", l.Answer(b, d.Hello).Err, proto.Denied)
		next := l.Answer(other, d.Hello)
		wantCode(t, "resumed", next.Err, proto.OK)
		again, _, err := d.Finish(next.Answer.Type(), wire.AppendBody(nil, next.Answer))
		wantCode(t, "resumed", err, proto.OK)
		if again.Transfer != ok.Transfer || next.Secret != nil {
			t.Errorf("resumed: got transfer %s and secret %x, want %s and none", again.Transfer, next.Secret, ok.Transfer)
		}
	}
}

// TestVectors holds testdata/proofs.txt, which other implementations can read,
// to the formula and to the code.
func TestVectors(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	h := wire.Hello{
		Version: proto.HelloVersion, Method: wire.MethodToken, Token: bytes.Repeat([]byte{4}, 8), Want: "send", Window: window,
		Nonce: bytes.Repeat([]byte{5}, proto.NonceBytes), Proof: make([]byte, proto.ProofBytes),
	}
	h.Proof = prove(t, b, proto.LabelDialer, secret, wire.AppendBody(nil, &h))
	hello := wire.AppendBody(nil, &h)
	ok := answer(t, b, secret, hello, wire.OKMessage{
		Granted: "send", Window: window, Transfer: wire.TransferID(bytes.Repeat([]byte{6}, 16)), Nonce: bytes.Repeat([]byte{7}, proto.NonceBytes),
	})
	resume, err := b.ResumeSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("exporter: %x\ndialer: %x\nlistener: %x\nsecret: %x\nhello: %s\nok: %s\nresume: %x\n",
		b.Exporter, b.Dialer[:], b.Listener[:], secret, hello, ok, resume)
	const file = "testdata/proofs.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("proofs differ from %s (%v); got\n%s", file, err, got)
	}
	v := (&desk{secret: secret, caps: proto.AllCaps}).listener().Answer(b, hello)
	wantCode(t, "the vector's P2P_HELLO", v.Err, proto.OK)
	d := dial(t, b, wire.MethodToken, secret)
	d.Hello = hello
	_, _, err = d.Finish(wire.TypeOK, ok)
	wantCode(t, "the vector's P2P_OK", err, proto.OK)
}
