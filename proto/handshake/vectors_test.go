package handshake_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorsFile holds handshakes that other implementations can test themselves
// with. A change of a value in it is a change of the protocol.
const vectorsFile = "testdata/proofs.txt"

const vectorsHeader = `# Test vectors of the protocol mesh/1: handshakes with fixed keys.
# The formulas are in mesh-protocol(7), the section "The proof".
#
# An entry is lines "name: value" and ends with an empty line.
#   exporter   the TLS exporter value of the connection, 32 bytes
#   dialer     the dialer's node key, then listener the listener's
#   secret     the secret S of the credential; empty for method "key"
#   prk        HKDF-Extract(SHA-256, salt exporter, secret)
#   hello      the body of P2P_HELLO with the right proof
#   ok         the body of the P2P_OK that answers it, with the right proof
#   resume     the secret R of a transfer that begins on this link
# Binary values are hexadecimal; hello and ok are the JSON text as it is sent.
# The second and third entry continue the transfer of the first one: their token
# is its id, their secret its R. They begin no transfer, so they have no resume.

`

// capabilityClaims and capabilitySecret are those of the token "capability" in
// proto/token/testdata/tokens.txt, whose listener's key is capabilityListener.
const (
	capabilityListener = "d824139d9dcbc4f37d018bed89be4b08e9b245632a55e70b4ac95f1ffd665c5f"
	capabilityClaims   = "01d824139d9dcbc4f37d018bed89be4b08e9b245632a55e70b4ac95f1ffd665c5f766563746f7220330100000000f48657000000"
	capabilitySecret   = "85a6efdd3e0d40efdee94d0b76e36b5e901b37a55e8fb2ddfc7f30c4ae9f92184f923bbc227d29f53c2818c09c98122f9992e051c7c8bee9908f8ad11c251100"
)

// transcript is one handshake: what is fixed in it, and its two messages.
type transcript struct {
	name     string
	binding  handshake.Binding
	secret   []byte
	hello    wire.Hello
	transfer wire.TransferID // of a link that begins none
	begins   bool
	helloMsg []byte
	okMsg    []byte
	resume   []byte
}

// run makes both messages with the formulas of the page and fixed nonces.
func (tr *transcript) run(t *testing.T) {
	t.Helper()
	tr.hello.Version, tr.hello.Window = proto.HelloVersion, window
	tr.hello.Nonce = bytes.Repeat([]byte{5}, proto.NonceBytes)
	tr.hello.Proof = make([]byte, proto.ProofBytes)
	tr.hello.Proof = prove(t, tr.binding, proto.LabelDialer, tr.secret, wire.AppendBody(nil, &tr.hello))
	tr.helloMsg = wire.AppendBody(nil, &tr.hello)
	if tr.begins {
		var err error
		if tr.transfer, err = tr.binding.Transfer(tr.secret); err != nil {
			t.Fatal(err)
		}
		if tr.resume, err = tr.binding.ResumeSecret(tr.secret); err != nil {
			t.Fatal(err)
		}
	}
	tr.okMsg = answer(t, tr.binding, tr.secret, tr.helloMsg, wire.OKMessage{
		Granted: tr.hello.Want, Window: window, Transfer: tr.transfer, Nonce: bytes.Repeat([]byte{7}, proto.NonceBytes),
	})
}

func (tr *transcript) entry(t *testing.T) string {
	t.Helper()
	b := tr.binding
	prk, err := hkdf.Extract(sha256.New, tr.secret, b.Exporter)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("name: %s\nexporter: %x\ndialer: %x\nlistener: %x\nsecret: %x\nprk: %x\nhello: %s\nok: %s\n",
		tr.name, b.Exporter, b.Dialer[:], b.Listener[:], tr.secret, prk, tr.helloMsg, tr.okMsg)
	if tr.begins {
		text += fmt.Sprintf("resume: %x\n", tr.resume)
	}
	return text + "\n"
}

// transcripts returns the handshakes of the file in their order.
func transcripts(t *testing.T) []*transcript {
	t.Helper()
	unhex := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := &transcript{
		name: "token", binding: binding(1, 2, 3), secret: secret, begins: true,
		hello: wire.Hello{Method: wire.MethodToken, Token: bytes.Repeat([]byte{4}, 8), Want: "send"},
	}
	first.run(t)
	key := &transcript{
		name: "key", binding: binding(10, 2, 3), begins: true,
		hello: wire.Hello{Method: wire.MethodKey, Want: "recv", Kind: wire.KindFiles},
	}
	capability := &transcript{
		name: "capability", binding: binding(11, 2, 0), secret: unhex(capabilitySecret), begins: true,
		hello: wire.Hello{Method: wire.MethodCapability, Token: unhex(capabilityClaims), Want: "tty:view,tty:control", Kind: wire.KindTTY},
	}
	capability.binding.Listener = identity.ID(unhex(capabilityListener))
	all := []*transcript{first}
	for i, method := range []string{wire.MethodResume, wire.MethodFlow} {
		all = append(all, &transcript{
			name: method, binding: binding(byte(8+i), 2, 3), secret: first.resume, transfer: first.transfer,
			hello: wire.Hello{Method: method, Token: first.transfer[:], Want: "send"},
		})
	}
	all = append(all, key, capability)
	for _, tr := range all[1:] {
		tr.run(t)
	}
	return all
}

// The vectors agree with the formulas, the listener accepts each P2P_HELLO in
// them, and the dialer each P2P_OK.
func TestVectors(t *testing.T) {
	t.Parallel()
	all := transcripts(t)
	var got strings.Builder
	got.WriteString(vectorsHeader)
	for _, tr := range all {
		got.WriteString(tr.entry(t))
	}
	if *update {
		if err := os.WriteFile(vectorsFile, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil || got.String() != string(want) {
		t.Errorf("proofs differ from %s (%v); got\n%s", vectorsFile, err, got.String())
	}
	for _, tr := range all {
		l := (&desk{secret: tr.secret, caps: proto.AllCaps}).listener()
		l.Takes = func(string) bool { return true }
		v := l.Answer(tr.binding, tr.helloMsg)
		xtest.WantCode(t, tr.name+": P2P_HELLO", v.Err, proto.OK)
		if v.Transfer != tr.transfer || !bytes.Equal(v.Secret, tr.resume) {
			t.Errorf("%s: the listener has transfer %s and resume secret %x, want %s and %x", tr.name, v.Transfer, v.Secret, tr.transfer, tr.resume)
		}
		want, err := proto.ParseCaps(tr.hello.Want)
		if err != nil {
			t.Fatal(err)
		}
		cred := token.Credential{Method: tr.hello.Method, Public: tr.hello.Token, Secret: tr.secret}
		d, err := handshake.NewDialer(tr.binding, cred, want, tr.hello.Kind, window, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		d.Hello = tr.helloMsg
		ok, granted, err := d.Finish(wire.TypeOK, tr.okMsg)
		xtest.WantCode(t, tr.name+": P2P_OK", err, proto.OK)
		if granted != want || ok.Transfer != tr.transfer {
			t.Errorf("%s: the dialer has %v for transfer %s, want %v for %s", tr.name, granted, ok.Transfer, want, tr.transfer)
		}
	}
}
