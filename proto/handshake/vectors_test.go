package handshake_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

var update = flag.Bool("update", false, "write the vectors anew")

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
	transfer, err := b.Transfer(secret)
	if err != nil {
		t.Fatal(err)
	}
	ok := answer(t, b, secret, hello, wire.OKMessage{
		Granted: "send", Window: window, Transfer: transfer, Nonce: bytes.Repeat([]byte{7}, proto.NonceBytes),
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
	xtest.WantCode(t, "the vector's P2P_HELLO", v.Err, proto.OK)
	d := dial(t, b, wire.MethodToken, secret)
	d.Hello = hello
	_, _, err = d.Finish(wire.TypeOK, ok)
	xtest.WantCode(t, "the vector's P2P_OK", err, proto.OK)
}
