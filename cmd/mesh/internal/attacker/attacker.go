// Package attacker is a small peer of the protocol mesh/1, with which tests attack the
// tools. It is written from mesh-protocol(7) alone: it imports nothing of this module,
// so that it proves the page too, and it sends whatever a test asks for.
package attacker

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey makes a node key.
func NewKey() ed25519.PrivateKey {
	_, key, _ := ed25519.GenerateKey(nil) // it cannot fail
	return key
}

// NodeID returns the text of a node id.
func NodeID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte("mesh node id"), key...))
	return "mk1" + base32Lower.EncodeToString(append(bytes.Clone(key), sum[:4]...))
}

// Token is a token without a holder.
type Token struct {
	Claims []byte // 52 bytes
	Addrs  []netip.AddrPort
	Secret []byte
}

// Listener returns the key of the node that issued the token.
func (t Token) Listener() ed25519.PublicKey { return t.Claims[1:33] }

// signed reports whether the token is a signed capability.
func (t Token) signed() bool { return t.Claims[0] == 1 }

// credential returns the fields method and token of a P2P_HELLO.
func (t Token) credential() (method string, token []byte) {
	if t.signed() {
		return "capability", t.Claims
	}
	return "token", t.Claims[33:41]
}

// ParseToken parses the text of a token. It knows IP addresses only.
func ParseToken(text string) (Token, error) {
	b, err := base32Lower.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), "mesh1"))
	if err != nil || len(b) < 53 || b[0] > 1 {
		return Token{}, fmt.Errorf("parse token of %d bytes: %v", len(b), err)
	}
	t := Token{Claims: b[:52]}
	rest := b[53:]
	for range b[52] {
		n := map[byte]int{4: 4, 6: 16}[rest[0]]
		if n == 0 || len(rest) < 1+n+2 {
			return Token{}, errors.New("parse token: an address of another kind")
		}
		ip, _ := netip.AddrFromSlice(rest[1 : 1+n])
		t.Addrs = append(t.Addrs, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(rest[1+n:])))
		rest = rest[1+n+2:]
	}
	size := 16
	if t.signed() {
		size = ed25519.SignatureSize
	}
	if len(rest) != size+4 {
		return Token{}, fmt.Errorf("parse token: %d bytes of secret and checksum", len(rest))
	}
	t.Secret = rest[:size]
	return t, nil
}

// NewToken makes a session token of a listener at an address, for one node and for ever.
func NewToken(key ed25519.PrivateKey, capabilities byte, addr netip.AddrPort) Token {
	claims := append([]byte{0}, key.Public().(ed25519.PublicKey)...)
	claims = append(claims, random(8)...)
	claims = append(claims, capabilities)
	claims = append(claims, make([]byte, 8)...)
	claims = append(claims, 0, 1)
	return Token{Claims: claims, Addrs: []netip.AddrPort{addr}, Secret: random(16)}
}

// Encode returns the text of a token with IPv4 addresses.
func (t Token) Encode() string {
	b := append(bytes.Clone(t.Claims), byte(len(t.Addrs)))
	for _, a := range t.Addrs {
		ip := a.Addr().As4()
		b = binary.BigEndian.AppendUint16(append(append(b, 4), ip[:]...), a.Port())
	}
	b = append(b, t.Secret...)
	sum := sha256.Sum256(append([]byte("mesh1"), b...))
	return "mesh1" + base32Lower.EncodeToString(append(b, sum[:4]...))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it cannot fail
	return b
}
