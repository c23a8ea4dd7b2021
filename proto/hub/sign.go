package hub

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"

	"mesh/proto"
	"mesh/proto/identity"
)

// Labels are the labels of all that is signed under "mesh-hub/1 ". Each ends with a zero
// byte, so none is the beginning of another one, nor of a label elsewhere in mesh.
var Labels = []string{labelHub, labelLogin, labelJoin, labelRequest, labelAccept, labelVoucher, labelLink, labelJoined}

const (
	signPrefix   = "mesh-hub/1 "
	labelHub     = "hub"
	labelLogin   = "login"
	labelJoin    = "join"
	labelRequest = "request"
	labelAccept  = "accept"
	labelVoucher = "voucher"
	labelLink    = "link"
	labelJoined  = "joined"
)

// signed returns the bytes that a signature with the label covers. No part is longer
// than 65535 bytes.
func signed(label string, parts ...[]byte) []byte {
	return lv(append([]byte(signPrefix+label), 0), parts...)
}

// lv appends each part with its length, a u16, before it.
func lv(b []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

func verify(by identity.ID, sig []byte, text []byte) bool {
	return len(sig) == SignatureBytes && ed25519.Verify(by[:], text, sig)
}

// NewNonce returns n random bytes.
func NewNonce(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// Login is what both ends know of one connection before anybody logs in over it. Its
// methods sign and check what the login consists of.
type Login struct {
	Origin      string
	Hub         identity.ID
	ClientNonce []byte // ClientNonceBytes
	HubNonce    []byte // NonceBytes
	Binding     []byte // BindingBytes
}

func (l Login) proofText() []byte {
	return signed(labelHub, []byte(l.Origin), l.ClientNonce, l.HubNonce, l.Binding)
}

func (l Login) loginText(instance ID) []byte {
	return signed(labelLogin, []byte(l.Origin), l.Hub[:], l.HubNonce, l.Binding, instance[:])
}

func (l Login) joinText(node identity.ID) []byte {
	return signed(labelJoin, []byte(l.Origin), l.Hub[:], l.HubNonce, node[:])
}

// Prove returns the hub's proof, made with the hub's key.
func (l Login) Prove(hub *identity.Key) []byte { return hub.Sign(l.proofText()) }

// CheckProof returns an error with code [proto.Identity] unless proof is that of the hub
// for this connection. A hub behind a proxy proves a binding of zeros; the caller
// decides whether it takes that.
func (l Login) CheckProof(proof []byte) error {
	if !verify(l.Hub, proof, l.proofText()) {
		return proto.Errorf(proto.Identity, "the hub does not prove its key %s for this connection", l.Hub.Short())
	}
	return nil
}

// Sign returns the signature in the node's hello.
func (l Login) Sign(node *identity.Key, instance ID) []byte { return node.Sign(l.loginText(instance)) }

// Check reports whether the hello's signature is that of its node for this connection,
// and whether it states this connection's binding. It takes as long whatever is wrong.
func (l Login) Check(h *Hello) bool {
	return verify(h.Node, h.Sig, l.loginText(h.Instance)) && string(h.Binding) == string(l.Binding)
}

// SignJoin returns the hello's invite field, with which the node becomes a member.
func (l Login) SignJoin(i Invite, node identity.ID) *Join {
	seed := ed25519.NewKeyFromSeed(i.Seed[:])
	return &Join{Key: i.Key(), Sig: ed25519.Sign(seed, l.joinText(node))}
}

// CheckJoin reports whether the bearer of the invite signed this login of the hello's
// node.
func (l Login) CheckJoin(h *Hello) bool {
	return h.Invite != nil && verify(h.Invite.Key, h.Invite.Sig, l.joinText(h.Node))
}

// text returns what the dialer signs of a request at a hub.
func (r *Request) text(hub identity.ID) []byte {
	return signed(labelRequest, hub[:], r.Session[:], []byte(r.To), []byte(r.Kind), []byte(r.Want), r.Seal, binary.BigEndian.AppendUint32(nil, r.AnswerS))
}

// Sign signs the request for a hub. Nothing but Vouchers and Bearer may change after it.
func (r *Request) Sign(dialer *identity.Key, hub identity.ID) { r.Sig = dialer.Sign(r.text(hub)) }

// Signed reports whether the dialer has signed the request for this hub.
func (r *Request) Signed(dialer, hub identity.ID) bool { return verify(dialer, r.Sig, r.text(hub)) }

// acceptText returns what the listener signs of an accept.
func acceptText(hub identity.ID, session ID, dialer identity.ID, requestSig, sealed []byte) []byte {
	return signed(labelAccept, hub[:], session[:], dialer[:], requestSig, sealed)
}
