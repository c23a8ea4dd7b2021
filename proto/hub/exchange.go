package hub

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"

	"mesh/proto"
	"mesh/proto/cpace"
	"mesh/proto/identity"
)

const (
	// codeLabel begins CPace's channel identifier, whose other part is the hub's key: a
	// code is worth nothing at another hub. It is also the salt of the keys.
	codeLabel = "mesh-hub/1 code"

	labelConfirmDialer   = "confirm dialer"
	labelConfirmListener = "confirm listener"
	labelBox             = "box"

	boxNonceBytes = 16
)

// ErrWrongCode is in the chain of the error when the other end has another code.
var ErrWrongCode = errors.New("the code is wrong")

// CodeListener is the listener's end of a code, with one share. That share is good for
// one confirm: whoever sends it has one guess.
type CodeListener struct {
	hub   identity.ID
	key   *identity.Key
	open  CodeOpen
	state *cpace.State
	spent bool
}

// OpenCode begins the exchange for a code with the given words at a hub.
func OpenCode(hub identity.ID, listener *identity.Key, kind Kind, box ID, words string) (*CodeListener, error) {
	s, err := cpace.New([]byte(words), channelOf(hub), box[:])
	if err != nil {
		return nil, err
	}
	open := CodeOpen{Kind: kind, Box: box, Share: s.Share(), AD: newAD(RoleListener, listener.ID())}
	return &CodeListener{hub: hub, key: listener, open: open, state: s}, nil
}

// Event returns the data of p2p.code.open.
func (l *CodeListener) Event() CodeOpen { return l.open }

// Prove checks that the dialer, which the hub names from, knows the code. It may be
// called once. A wrong code is [ErrWrongCode] with code [proto.Denied].
func (l *CodeListener) Prove(from identity.ID, c *CodeConfirm) (*CodeProof, error) {
	if l.spent {
		return nil, proto.Errorf(proto.Denied, "this share has had its confirm: %w", ErrWrongCode)
	}
	l.spent = true
	node, ok := nodeOfAD(c.AD, RoleDialer)
	if !ok || node != from || c.Box != l.open.Box {
		return nil, proto.Errorf(proto.Denied, "the confirm names another node or box: %w", ErrWrongCode)
	}
	isk, err := l.state.Initiator(l.open.AD, cpace.Message{Share: c.Share, AD: c.AD})
	if err != nil {
		return nil, proto.Errorf(proto.Denied, "%w: %w", ErrWrongCode, err)
	}
	k := newCodeKeys(l.open.Box, isk, l.open.Share, l.open.AD, c.Share, c.AD)
	if !hmac.Equal(c.Tag, k.tag(labelConfirmDialer)) {
		return nil, &proto.Error{Code: proto.Denied, Err: ErrWrongCode}
	}
	return &CodeProof{hub: l.hub, key: l.key, dialer: from, confirm: c.Tag, keys: k}, nil
}

// CodeProof is what a listener has of a dialer that knows the code.
type CodeProof struct {
	hub     identity.ID
	key     *identity.Key
	dialer  identity.ID
	confirm []byte
	keys    codeKeys
}

// Done makes the data of p2p.code.done, with the grant sealed for the dialer, and the
// keys of the session. It may be called once: the nonce is fixed.
func (p *CodeProof) Done(g Grant) (*CodeDone, *Keys, error) {
	text, err := g.encode()
	if err != nil {
		return nil, nil, err
	}
	aead, err := p.keys.aead()
	if err != nil {
		return nil, nil, err
	}
	box := p.keys.box
	d := &CodeDone{Box: box, Tag: p.keys.tag(labelConfirmListener), Sealed: aead.Seal(nil, make([]byte, aead.NonceSize()), text, box[:])}
	if err := checkSealed(d.Sealed); err != nil {
		return nil, nil, err
	}
	d.Sig = p.key.Sign(acceptText(p.hub, box, p.dialer, p.confirm, d.Sealed))
	keys, err := exportKeys(box, p.keys)
	return d, keys, err
}

// CodeDialer is the dialer's end of a code.
type CodeDialer struct {
	hub, node, peer identity.ID
	confirm         CodeConfirm
	keys            codeKeys
}

// ClaimCode begins the exchange with the box that the hub has answered a claim with. An
// error has code [proto.Identity].
func ClaimCode(hub, dialer identity.ID, words string, c *CodeClaimed) (*CodeDialer, error) {
	peer, ok := nodeOfAD(c.AD, RoleListener)
	if !ok || peer != c.Peer {
		return nil, proto.Errorf(proto.Identity, "the hub and the box of the code name different nodes")
	}
	s, err := cpace.New([]byte(words), channelOf(hub), c.Box[:])
	if err != nil {
		return nil, err
	}
	ad := newAD(RoleDialer, dialer)
	isk, err := s.Responder(ad, cpace.Message{Share: c.Share, AD: c.AD})
	if err != nil {
		return nil, proto.Errorf(proto.Identity, "the box of the code: %w", err)
	}
	k := newCodeKeys(c.Box, isk, c.Share, c.AD, s.Share(), ad)
	confirm := CodeConfirm{Box: c.Box, Share: s.Share(), AD: ad, Tag: k.tag(labelConfirmDialer)}
	return &CodeDialer{hub, dialer, peer, confirm, k}, nil
}

// Confirm returns the data of p2p.code.confirm.
func (d *CodeDialer) Confirm() *CodeConfirm { return &d.confirm }

// Peer returns the listener. It is proven once [CodeDialer.Open] has succeeded.
func (d *CodeDialer) Peer() identity.ID { return d.peer }

// Open checks that the listener knows the code, and opens the grant. An end that does not
// prove the code or its key has code [proto.Identity], a grant that can't be read
// [proto.Protocol].
func (d *CodeDialer) Open(done *CodeDone) (Grant, *Keys, error) {
	switch {
	case done.Box != d.confirm.Box || !hmac.Equal(done.Tag, d.keys.tag(labelConfirmListener)):
		return Grant{}, nil, proto.Errorf(proto.Identity, "whoever answers does not prove that it knows the code: the hub may be lying")
	case !verify(d.peer, done.Sig, acceptText(d.hub, done.Box, d.node, d.confirm.Tag, done.Sealed)):
		return Grant{}, nil, proto.Errorf(proto.Identity, "the answer to the code is not signed by %s", d.peer.Short())
	}
	aead, err := d.keys.aead()
	if err != nil {
		return Grant{}, nil, err
	}
	text, err := aead.Open(nil, make([]byte, aead.NonceSize()), done.Sealed, done.Box[:])
	if err != nil {
		return Grant{}, nil, proto.Errorf(proto.Protocol, "the answer to the code can't be opened")
	}
	g, err := decodeGrant(text)
	if err != nil {
		return Grant{}, nil, &proto.Error{Code: proto.Protocol, Err: err}
	}
	keys, err := exportKeys(done.Box, d.keys)
	return g, keys, err
}

// codeKeys are the keys that the two ends of a code share.
type codeKeys struct {
	box             ID
	prk, transcript []byte
}

func newCodeKeys(box ID, isk []byte, transcript ...[]byte) codeKeys {
	prk, err := hkdf.Extract(sha512.New, isk, []byte(codeLabel))
	if err != nil {
		panic(err) // HKDF takes a key of this length in every mode of the library
	}
	return codeKeys{box, prk, lv(nil, transcript...)}
}

// Export implements exporter.
func (k codeKeys) Export(label string, length int) ([]byte, error) {
	return hkdf.Expand(sha512.New, k.prk, label, length)
}

// key returns the 32 bytes with the label.
func (k codeKeys) key(label string) []byte {
	b, err := k.Export(label, 32)
	if err != nil {
		panic(err) // HKDF makes up to 255 hashes
	}
	return b
}

// tag returns what an end sends to prove that it knows the code.
func (k codeKeys) tag(label string) []byte {
	mac := hmac.New(sha256.New, k.key(label))
	mac.Write(k.transcript)
	return mac.Sum(nil)
}

func (k codeKeys) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.key(labelBox))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func channelOf(hub identity.ID) []byte { return lv(nil, []byte(codeLabel), hub[:]) }

func newAD(role string, node identity.ID) []byte {
	return lv(nil, []byte(role), node[:], NewNonce(boxNonceBytes))
}

// nodeOfAD returns the node in what an end of the role sends with its share.
func nodeOfAD(ad []byte, role string) (node identity.ID, ok bool) {
	head := lv(nil, []byte(role), nil)
	binary.BigEndian.PutUint16(head[len(head)-2:], uint16(len(node)))
	if len(ad) != len(head)+len(node)+2+boxNonceBytes || string(ad[:len(head)]) != string(head) {
		return node, false
	}
	rest := ad[len(head)+copy(node[:], ad[len(head):]):]
	return node, int(binary.BigEndian.Uint16(rest)) == boxNonceBytes && node != (identity.ID{})
}
