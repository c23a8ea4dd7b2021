// Package handshake implements P2P_HELLO, P2P_OK and P2P_DENY without I/O. With
// them the dialer proves that it has the secret of a credential, and the listener
// that it has it too. Both proofs are bound to the TLS session between exactly
// these two node keys (channel binding, RFC 9266). The formulas are in package
// proto.
package handshake

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/wire"
)

// Binding identifies one TLS session. Both ends know it, and an attacker between
// them cannot make two sessions have the same one (RFC 9266, section 1).
type Binding struct {
	// Exporter is the TLS exporter value for [proto.ExporterLabel].
	Exporter []byte
	// Dialer and Listener are the node ids that TLS has authenticated.
	Dialer, Listener identity.ID
}

// derive returns a key that only an end of this TLS session can compute, and only if
// it has the secret.
func (b Binding) derive(label string, secret []byte, size int) ([]byte, error) {
	prk, err := hkdf.Extract(sha256.New, secret, b.Exporter)
	if err != nil {
		return nil, err
	}
	return hkdf.Expand(sha256.New, prk, label, size)
}

// ResumeSecret returns the secret with which the dialer proves on another link that
// it was the dialer of this one. secret is that of this link's credential.
func (b Binding) ResumeSecret(secret []byte) ([]byte, error) {
	return b.derive(proto.LabelResume, secret, proto.ResumeSecretBytes)
}

// Transfer returns the id of the transfer that begins on this link. secret is that
// of the link's credential.
func (b Binding) Transfer(secret []byte) (wire.TransferID, error) {
	id, err := b.derive(proto.LabelTransfer, secret, proto.TransferIDBytes)
	if err != nil {
		return wire.TransferID{}, err
	}
	return wire.TransferID(id), nil
}

// proof returns the HMAC of both node ids and the parts, under the key of a role.
func (b Binding) proof(label string, secret []byte, parts ...[]byte) ([]byte, error) {
	key, err := b.derive(label, secret, sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(b.Dialer[:])
	mac.Write(b.Listener[:])
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil), nil
}

func (b Binding) helloProof(secret []byte, h wire.Hello) ([]byte, error) {
	h.Proof = make([]byte, proto.ProofBytes)
	return b.proof(proto.LabelDialer, secret, wire.AppendBody(nil, &h))
}

// okProof covers the whole P2P_HELLO too, so that both ends agree on both messages.
func (b Binding) okProof(secret, hello []byte, ok wire.OKMessage) ([]byte, error) {
	ok.Proof = make([]byte, proto.ProofBytes)
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(hello)))
	return b.proof(proto.LabelListener, secret, n[:], hello, wire.AppendBody(nil, &ok))
}
