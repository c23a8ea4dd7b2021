package handshake_test

import (
	"os"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// vector returns a line of testdata/proofs.txt.
func vector(f *testing.F, name string) []byte {
	f.Helper()
	text, err := os.ReadFile("testdata/proofs.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return []byte(strings.TrimSpace(value))
		}
	}
	f.Fatalf("no %s in the vectors", name)
	return nil
}

// No P2P_HELLO except that of the vectors is accepted, or takes a use or a place.
func FuzzAnswer(f *testing.F) {
	right := vector(f, "hello")
	f.Add(right)
	for _, method := range []string{wire.MethodCapability, wire.MethodResume} {
		f.Add([]byte(strings.Replace(string(right), `"token"`, `"`+method+`"`, 1)))
	}
	f.Add([]byte(strings.Replace(string(right), `"version":1`, `"version":0`, 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &desk{secret: secret, caps: proto.AllCaps}
		v := d.listener().Answer(binding(1, 2, 3), body)
		if string(body) == string(right) {
			xtest.WantCode(t, "the right one", v.Err, proto.OK)
			return
		}
		class := wire.ClassDenied
		switch code := proto.CodeOf(v.Err); code {
		case proto.Denied, proto.Protocol:
		case proto.Version:
			class = wire.ClassVersion
		default:
			t.Errorf("%q: got %v (%v)", body, code, v.Err)
		}
		deny, ok := v.Answer.(*wire.Deny)
		if !ok || deny.Class != class || d.claimed != 0 || d.reserved != 0 {
			t.Errorf("%q: got %+v (%v), %d claims and %d places, want class %s", body, v.Answer, v.Err, d.claimed, d.reserved, class)
		}
	})
}

// A dialer accepts no answer without the right proof.
func FuzzFinish(f *testing.F) {
	f.Add(uint8(wire.TypeOK), vector(f, "ok"))
	f.Add(uint8(wire.TypeDeny), []byte(`{"class":"busy"}`))
	cred := token.Credential{Method: wire.MethodToken, Public: make([]byte, 8), Secret: secret}
	d, err := handshake.NewDialer(binding(1, 2, 3), cred, proto.CapSend, wire.KindPipe, window, "", 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		_, granted, err := d.Finish(wire.Type(typ), body)
		if err == nil || granted != 0 {
			t.Errorf("%q: granted %v (%v), want an error", body, granted, err)
		}
		if code := proto.CodeOf(err); code == proto.Failed {
			t.Errorf("%q: got %v (%v), want a code that says more", body, code, err)
		}
	})
}
