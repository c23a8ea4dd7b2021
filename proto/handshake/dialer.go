package handshake

import (
	"crypto/hmac"
	"crypto/rand"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Dialer is the dialer's side of one handshake: call [NewDialer], send
// [Dialer.Hello], and pass the answer to [Dialer.Finish].
type Dialer struct {
	// Hello is the body of the P2P_HELLO to send.
	Hello []byte

	binding Binding
	secret  []byte
	want    proto.Caps
}

// NewDialer begins a handshake that asks for the capabilities in want and for
// transfers of the given kind, and announces a window in bytes. name and try are those of
// [wire.Hello].
func NewDialer(b Binding, cred token.Credential, want proto.Caps, kind string, window int64, name string, try uint32) (*Dialer, error) {
	h := wire.Hello{
		Version: proto.HelloVersion,
		Method:  cred.Method,
		Token:   cred.Public,
		Want:    want.String(),
		Name:    name,
		Window:  window,
		Try:     try,
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

// Finish verifies the listener's answer, a body of type t, and returns what was
// granted. The code of an error says why nothing was: [proto.Denied],
// [proto.Busy], [proto.Capability] or [proto.Version]; [proto.Declined] for the
// kind of transfer; [proto.Identity] if the listener does not have the secret;
// [proto.Protocol] if the answer is not valid.
func (d *Dialer) Finish(t wire.Type, body []byte) (wire.OKMessage, proto.Caps, error) {
	var ok wire.OKMessage
	if t == wire.TypeDeny {
		var deny wire.Deny
		if err := wire.ParseBody(body, &deny); err != nil {
			return ok, 0, err
		}
		return ok, 0, denial(deny.Class)
	}
	if err := wire.ParseBody(body, &ok); err != nil {
		return ok, 0, err
	}
	want, err := d.binding.okProof(d.secret, d.Hello, ok)
	if err != nil {
		return ok, 0, err
	}
	if !hmac.Equal(want, ok.Proof) {
		return ok, 0, proto.Errorf(proto.Identity, "the listener does not have the token's secret")
	}
	granted, err := proto.ParseCaps(ok.Granted)
	if err != nil || !d.want.Has(granted) {
		return ok, 0, proto.Errorf(proto.Protocol, "the listener grants more than was asked for")
	}
	return ok, granted, nil
}

// ErrKind is the dialer's error when the listener does not accept its kind of
// transfer.
var ErrKind = proto.Errorf(proto.Declined, "the peer does not wait for this kind of transfer")

// ErrPath is in the chain of an error when the listener takes no link over the path of
// the connection. Another path may do.
var ErrPath = proto.Errorf(proto.Unreachable, "the peer takes no link over this path")

// denial returns the error for the class of a P2P_DENY.
func denial(class string) error {
	switch class {
	case wire.ClassBusy:
		return proto.Errorf(proto.Busy, "the peer is busy")
	case wire.ClassVersion:
		return proto.Errorf(proto.Version, "the peer does not speak version %d", proto.HelloVersion)
	case wire.ClassCapability:
		return proto.Errorf(proto.Capability, "the peer knows us, but does not allow this")
	case wire.ClassKind:
		return ErrKind
	case wire.ClassPath:
		return ErrPath
	}
	return proto.Errorf(proto.Denied, "the peer refused the token or key")
}
