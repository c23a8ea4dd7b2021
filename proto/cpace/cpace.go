// Package cpace has the password-authenticated key exchange CPace-X25519-SHA512 of
// draft-irtf-cfrg-cpace, in its form for an initiator and a responder. Two ends that
// know the same password get the same key; an end with another password, and whoever
// passes the messages on, learns nothing but that one guess was wrong.
//
// CPace does not tell the ends whether their keys are the same. The caller confirms
// that, with a tag of each end under the key.
package cpace

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha512"
	"errors"

	"filippo.io/edwards25519/field"
)

const (
	// ShareSize is the length of a share, KeySize that of a key.
	ShareSize = 32
	KeySize   = sha512.Size

	dsi = "CPace255"
)

// ErrShare means that a share is no point that the exchange can go on with. An honest
// end never sends one.
var ErrShare = errors.New("cpace: the share is of the wrong length or a point of low order")

// Message is what an end sends: its share, and data that the key depends on.
type Message struct{ Share, AD []byte }

// State is one end of one exchange. It must be used once.
type State struct {
	sid    []byte
	secret *ecdh.PrivateKey
	share  []byte
}

// New begins an exchange. Both ends have the same password, channel identifier ci and
// session id sid.
func New(password, ci, sid []byte) (*State, error) {
	scalar := make([]byte, ShareSize)
	_, _ = rand.Read(scalar) // never fails (crypto/rand)
	return begin(password, ci, sid, scalar)
}

func begin(password, ci, sid, scalar []byte) (*State, error) {
	secret, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	share, err := multiply(secret, generator(password, ci, sid))
	if err != nil {
		return nil, err // the generator of one password in 2^250
	}
	return &State{sid, secret, share}, nil
}

// Share returns the share to send.
func (s *State) Share() []byte { return s.share }

// Initiator returns the key of the end that sent its message first. The error is
// [ErrShare].
func (s *State) Initiator(ad []byte, responder Message) ([]byte, error) {
	return s.key(responder.Share, Message{s.share, ad}, responder)
}

// Responder returns the key of the other end. The error is [ErrShare].
func (s *State) Responder(ad []byte, initiator Message) ([]byte, error) {
	return s.key(initiator.Share, initiator, Message{s.share, ad})
}

func (s *State) key(peer []byte, a, b Message) ([]byte, error) {
	k, err := multiply(s.secret, peer)
	if err != nil {
		return nil, err
	}
	text := lv(nil, []byte(dsi+"_ISK"), s.sid, k, a.Share, a.AD, b.Share, b.AD)
	sum := sha512.Sum512(text)
	return sum[:], nil
}

// multiply returns a point multiplied by a scalar. The package ecdh refuses points whose
// product is zero.
func multiply(scalar *ecdh.PrivateKey, point []byte) ([]byte, error) {
	public, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		return nil, ErrShare
	}
	product, err := scalar.ECDH(public)
	if err != nil {
		return nil, ErrShare
	}
	return product, nil
}

// generator returns the point that the password stands for.
func generator(password, ci, sid []byte) []byte {
	sum := sha512.Sum512(generatorString(password, ci, sid))
	return elligator2(sum[:ShareSize])
}

// generatorString fills the first block of the hash, so that the time of the hash does
// not depend on the length of the password.
func generatorString(password, ci, sid []byte) []byte {
	first := len(lv(nil, []byte(dsi), password))
	pad := max(0, sha512.BlockSize-1-first)
	return lv(nil, []byte(dsi), password, make([]byte, pad), ci, sid)
}

// elligator2 maps 32 bytes, of which it ignores the highest bit, to the u-coordinate of
// a point of Curve25519 (RFC 9380, section 6.7.1), in constant time.
func elligator2(text []byte) []byte {
	one := new(field.Element).One()
	a := new(field.Element).Mult32(one, 486662)
	r, err := new(field.Element).SetBytes(text)
	if err != nil {
		panic(err) // the length is that of the hash above
	}
	// x1 = -a / (1 + 2r²); the divisor is never zero, since -1/2 is no square
	d := new(field.Element).Square(r)
	d.Add(d, d).Add(d, one)
	x1 := new(field.Element).Invert(d)
	x1.Multiply(x1, a).Negate(x1)
	// x1 is a coordinate of the curve if x1³ + a·x1² + x1 is a square; else -x1 - a is
	y2 := new(field.Element).Add(x1, a)
	y2.Multiply(y2, x1).Add(y2, one).Multiply(y2, x1)
	_, square := new(field.Element).SqrtRatio(y2, one)
	x2 := new(field.Element).Negate(x1)
	x2.Subtract(x2, a)
	return x1.Select(x1, x2, square).Bytes()
}

// lv appends each part with its length in LEB128 before it.
func lv(b []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		n := len(p)
		for ; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		b = append(append(b, byte(n)), p...)
	}
	return b
}
