package handshake_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

const window = 16 << 20

// desk is a guard with one secret that counts claims and places.
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

func (d *desk) CheckAccess(identity.ID, *token.ID, proto.Caps) error { return nil }

func (d *desk) listener() *handshake.Listener {
	return &handshake.Listener{
		Guard: d, Offer: proto.AllCaps, Window: window,
		Resume: func([]byte, identity.ID) (token.Admission, error) {
			return token.Admission{Secret: d.secret, Caps: proto.CapSend}, nil
		},
		Reserve: func(identity.ID) bool { d.reserved++; return !d.full },
		Release: func(identity.ID) { d.reserved-- },
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
	d, err := handshake.NewDialer(b, cred, proto.CapSend, wire.KindPipe, window, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// prove implements the formula of package proto a second time: HMAC-SHA-256 with the
// role's key from HKDF, over both ids and the parts.
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

// guard gives the same answer for every credential.
type guard struct {
	found token.Admission
	err   error
}

func (g guard) Find(*wire.Hello, identity.ID) (token.Admission, error) { return g.found, g.err }

func (g guard) CheckAccess(identity.ID, *token.ID, proto.Caps) error { return nil }
