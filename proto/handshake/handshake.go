// Package handshake is P2P_HELLO, P2P_OK and P2P_DENY as a state machine
// without I/O: how a dialer proves a token's secret, and a listener that it
// knows it too, bound to the TLS session between exactly these two node keys.
// The formulas are in package proto.
package handshake

import (
	"cmp"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Binding is what both ends of one TLS session know and nobody between them
// can make equal at both: see RFC 9266, section 1.
type Binding struct {
	// Exporter is the TLS exporter value for [proto.ExporterLabel].
	Exporter []byte
	// Dialer and Listener are the node ids that TLS has proven.
	Dialer, Listener identity.ID
}

// derive returns a key that only who knows the secret and ends this TLS session
// can have.
func (b Binding) derive(label string, secret []byte, size int) ([]byte, error) {
	prk, err := hkdf.Extract(sha256.New, secret, b.Exporter)
	if err != nil {
		return nil, err
	}
	return hkdf.Expand(sha256.New, prk, label, size)
}

// ResumeSecret returns the secret that proves, on another link, to be one of
// the two ends of this one, which was made with the given secret.
func (b Binding) ResumeSecret(secret []byte) ([]byte, error) {
	return b.derive(proto.LabelResume, secret, proto.ResumeSecretBytes)
}

// Transfer returns the id of the transfer that begins on a link which is made
// with the given secret.
func (b Binding) Transfer(secret []byte) (wire.TransferID, error) {
	id, err := b.derive(proto.LabelTransfer, secret, proto.TransferIDBytes)
	if err != nil {
		return wire.TransferID{}, err
	}
	return wire.TransferID(id), nil
}

// proof returns the HMAC of the parts under the key of a role.
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

// okProof covers the whole HELLO, so that both ends agree on all that was said.
func (b Binding) okProof(secret, hello []byte, ok wire.OKMessage) ([]byte, error) {
	ok.Proof = make([]byte, proto.ProofBytes)
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(hello)))
	return b.proof(proto.LabelListener, secret, n[:], hello, wire.AppendBody(nil, &ok))
}

// Dialer is the calling side of one handshake: [NewDialer], send
// [Dialer.Hello], give the answer to [Dialer.Finish].
type Dialer struct {
	// Hello is the body of the P2P_HELLO to send.
	Hello []byte

	binding Binding
	secret  []byte
	want    proto.Caps
}

// NewDialer begins a handshake that asks for the capabilities in want and for
// transfers of the given kind, and announces a window of as many bytes.
func NewDialer(b Binding, cred token.Credential, want proto.Caps, kind string, window int64) (*Dialer, error) {
	h := wire.Hello{
		Version: proto.HelloVersion,
		Method:  cred.Method,
		Token:   cred.Public,
		Want:    want.String(),
		Window:  window,
		Nonce:   make([]byte, proto.NonceBytes),
	}
	if kind != wire.KindPipe {
		h.Kind = kind
	}
	if _, err := rand.Read(h.Nonce); err != nil {
		return nil, err
	}
	var err error
	if h.Proof, err = b.helloProof(cred.Secret, h); err != nil {
		return nil, err
	}
	return &Dialer{wire.AppendBody(nil, &h), b, cred.Secret, want}, nil
}

// Finish takes the listener's answer. It returns what was granted, or why
// nothing was: [proto.Denied], [proto.Busy], [proto.Capability],
// [proto.Version], [proto.Declined] for the kind, or [proto.Identity] if the listener does not know the secret.
func (d *Dialer) Finish(t wire.Type, body []byte) (wire.OKMessage, proto.Caps, error) {
	var ok wire.OKMessage
	if t == wire.TypeDeny {
		var deny wire.Deny
		if err := wire.ParseBody(body, &deny); err != nil {
			return ok, 0, err
		}
		return ok, 0, deniedAs(deny.Class)
	}
	if err := wire.ParseBody(body, &ok); err != nil {
		return ok, 0, err
	}
	want, err := d.binding.okProof(d.secret, d.Hello, ok)
	if err != nil {
		return ok, 0, err
	}
	if !hmac.Equal(want, ok.Proof) {
		return ok, 0, proto.Errorf(proto.Identity, "the listener does not know the token's secret")
	}
	granted, err := proto.ParseCaps(ok.Granted)
	if err != nil || !d.want.Has(granted) {
		return ok, 0, proto.Errorf(proto.Protocol, "the listener grants what was not asked for")
	}
	return ok, granted, nil
}

// ErrKind is the error of a dialer whose kind of transfer is not taken.
var ErrKind = proto.Errorf(proto.Declined, "the peer does not wait for this kind of transfer")

func deniedAs(class string) error {
	switch class {
	case wire.ClassBusy:
		return proto.Errorf(proto.Busy, "the peer is busy")
	case wire.ClassVersion:
		return proto.Errorf(proto.Version, "the peer does not speak version %d", proto.HelloVersion)
	case wire.ClassCapability:
		return proto.Errorf(proto.Capability, "the peer knows us, but does not allow this")
	case wire.ClassKind:
		return ErrKind
	}
	return proto.Errorf(proto.Denied, "the peer refused the token or key")
}

// Guard is what a listener asks about credentials: [token.Registry], or a
// test's.
type Guard interface {
	// Find returns what is known of a credential that dialer has shown but not
	// proven. See [token.Registry.Find].
	Find(h *wire.Hello, dialer identity.ID) (token.Admission, error)
	// AccessRevoked reports whether a node that was let in must go again. See
	// [token.Registry.AccessRevoked].
	AccessRevoked(dialer identity.ID, id *token.ID, granted proto.Caps) bool
}

// Listener is the waiting side's part in any number of handshakes.
type Listener struct {
	Guard Guard
	// Offer is what there is to grant.
	Offer proto.Caps
	// Takes reports whether a kind of transfer is taken; nil for pipes alone.
	Takes func(kind string) bool
	// Resume returns the admission of the transfer that dialer wants to go on
	// with, or to have another flow for, or an error with code [proto.Denied].
	Resume func(transfer []byte, dialer identity.ID) (token.Admission, error)
	// Window is what the listener announces, in bytes.
	Window int64
	// Reserve takes a place for the dialer, and reports false when there is none.
	// It is asked after the proof, so that a stranger cannot tell. Who takes the
	// verdict gives the place back with Release.
	Reserve func(dialer identity.ID) bool
	Release func(dialer identity.ID)
}

// Verdict is a listener's answer to one P2P_HELLO.
type Verdict struct {
	// Answer is the message to send.
	Answer wire.Message
	// Err is nil for P2P_OK; else it is why not, for our own log: it may say
	// more than the peer must know. Its code is that of the closing.
	Err error

	// The rest is set for P2P_OK.
	Granted  proto.Caps
	Kind     string
	Window   int64 // the dialer's
	Transfer wire.TransferID
	Token    *token.ID
	// Secret is what goes on with a transfer that begins here; nil if it began
	// before.
	Secret []byte
	// Flow says that this is one more link for a transfer that has one.
	Flow bool
}

// Answer judges the body of a P2P_HELLO.
func (l *Listener) Answer(b Binding, body []byte) Verdict {
	v, err := l.answer(b, body)
	if err == nil {
		return v
	}
	class := wire.ClassDenied
	switch proto.CodeOf(err) {
	case proto.Busy:
		class = wire.ClassBusy
	case proto.Capability:
		class = wire.ClassCapability
	case proto.Version:
		class = wire.ClassVersion
	case proto.Declined:
		class = wire.ClassKind
	case proto.Denied, proto.Protocol:
	default: // our own trouble, such as a file that can't be read
		err = proto.Errorf(proto.Denied, "%w", err)
	}
	return Verdict{Answer: &wire.Deny{Class: class}, Err: err}
}

func (l *Listener) answer(b Binding, body []byte) (Verdict, error) {
	var h wire.Hello
	if err := wire.ParseBody(body, &h); err != nil {
		return Verdict{}, err
	}
	if h.Version != proto.HelloVersion {
		return Verdict{}, proto.Errorf(proto.Version, "peer speaks version %d, we speak %d", h.Version, proto.HelloVersion)
	}
	flow := h.Method == wire.MethodFlow
	resumes := flow || h.Method == wire.MethodResume
	var found token.Admission
	var err error
	if resumes {
		found, err = l.Resume(h.Token, b.Dialer)
	} else {
		found, err = l.Guard.Find(&h, b.Dialer)
	}
	if err != nil {
		return Verdict{}, err
	}
	proof, err := b.helloProof(found.Secret, h)
	if err != nil {
		return Verdict{}, err
	}
	if !hmac.Equal(proof, h.Proof) {
		return Verdict{}, proto.Errorf(proto.Denied, "wrong proof")
	}
	want, err := proto.ParseCaps(h.Want)
	if err != nil {
		return Verdict{}, err
	}
	granted := want & found.Caps & l.Offer
	kind := cmp.Or(h.Kind, wire.KindPipe)
	if resumes {
		v, err := l.admit(b, found, found.Caps, body, wire.TransferID(h.Token))
		v.Window, v.Kind, v.Flow = h.Window, kind, flow
		return v, err
	}
	if granted == 0 {
		return Verdict{}, proto.Errorf(proto.Capability, "peer wants %s, may %s, and we offer %s", want, found.Caps, l.Offer)
	}
	if !l.takes(kind) {
		return Verdict{}, proto.Errorf(proto.Declined, "peer comes with a transfer of %s, which is not taken here", kind)
	}
	if found.Claim != nil { // before a place, so that who can never come in is not told to try again
		if err := found.Claim(); err != nil {
			return Verdict{}, err
		}
	}
	if !l.Reserve(b.Dialer) {
		return Verdict{}, proto.Errorf(proto.Busy, "as many peers as there may be")
	}
	transfer, err := b.Transfer(found.Secret)
	if err != nil {
		l.Release(b.Dialer)
		return Verdict{}, err
	}
	v, err := l.admit(b, found, granted, body, transfer)
	if err == nil {
		v.Secret, err = b.ResumeSecret(found.Secret)
	}
	if err != nil {
		l.Release(b.Dialer)
		return Verdict{}, err
	}
	v.Window, v.Kind = h.Window, kind
	return v, nil
}

// takes reports whether transfers of a kind are taken.
func (l *Listener) takes(kind string) bool {
	if l.Takes == nil {
		return kind == wire.KindPipe
	}
	return l.Takes(kind)
}

// admit makes the P2P_OK.
func (l *Listener) admit(b Binding, found token.Admission, granted proto.Caps, hello []byte, transfer wire.TransferID) (Verdict, error) {
	ok := wire.OKMessage{Granted: granted.String(), Window: l.Window, Transfer: transfer, Nonce: make([]byte, proto.NonceBytes)}
	if _, err := rand.Read(ok.Nonce); err != nil {
		return Verdict{}, err
	}
	var err error
	ok.Proof, err = b.okProof(found.Secret, hello, ok)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Answer: &ok, Granted: granted, Transfer: ok.Transfer, Token: found.Token}, nil
}
