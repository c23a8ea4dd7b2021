// Package token makes, parses and checks tokens. A listener gives a token to a
// peer, or to several, and the token allows them to dial it.
//
// A token holds claims (which node issued it, what it allows, until when),
// addresses, and a secret. The secret never crosses the wire: the dialer proves
// that it has it (package handshake). There are two kinds of tokens.
//
// A session token is issued by a listening process, which keeps the secret, 16
// random bytes, in memory. Its text is short. It is worthless once that process
// has ended.
//
// A signed capability is valid for every listener of the node, also for one that
// starts later. Its secret is the Ed25519 signature of its claims by the node
// key. The listener stores nothing: it reads the claims in P2P_HELLO, signs them
// again (Ed25519 is deterministic, RFC 8032 section 5.1.6) and so obtains the
// secret that it needs to verify the proof. This is why tokens are not PASETOs: a
// PASETO is shown whole to its verifier, while this secret never leaves the
// dialer.
package token

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// Prefix begins the text of every token.
const Prefix = proto.TokenPrefix

const (
	// MaxTextBytes bounds the text of a token; a longer text is not parsed.
	MaxTextBytes = 2 << 10
	secretBytes  = 16
	checkBytes   = 4
	// maxExpires is the end of the year 9999, in seconds since 1970: RFC 3339 can
	// express no later time.
	maxExpires = 253402300799
)

// base32Text is the encoding of node ids too.
var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID names a token. It is not secret.
type ID [8]byte

// String returns 16 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *ID) UnmarshalText(text []byte) error {
	got, err := ParseID(string(text))
	*id = got
	return err
}

// ParseID parses the result of [ID.String].
func ParseID(s string) (ID, error) {
	var id ID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return id, fmt.Errorf("not a token id: want %d hexadecimal digits", 2*len(id))
	}
	return ID(b), nil
}

// Claims are the parts of a token that are not secret, without its addresses.
type Claims struct {
	// Listener is the node that issued the token. The dialer pins its key.
	Listener identity.ID
	ID       ID
	// Signed is true for a signed capability, false for a session token.
	Signed bool
	Caps   proto.Caps
	// Expires is in whole seconds; zero means never.
	Expires time.Time
	// Uses is how many different nodes may use the token; 0 means any number.
	Uses uint16
	// Holder is the only node that may use the token; zero means any node.
	Holder identity.ID
}

// Token is a whole token, secret included. It prints as its id only;
// [Token.Encode] returns its text.
type Token struct {
	Claims
	// Addrs are addresses of the listener, HOST:PORT. They are hints: the pinned
	// key, not the address, proves which node answers.
	Addrs  []string
	secret []byte
}

// String returns the id, so that no secret is printed by accident.
func (t Token) String() string { return "token " + t.ID.String() }

// GoString returns what [Token.String] does.
func (t Token) GoString() string { return t.String() }

// LogValue implements [slog.LogValuer] as String does.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MultiUse reports whether more than one node may use the token. Such a token
// must not stand on a command line, which every user of the machine can read.
func (c Claims) MultiUse() bool { return c.Uses != 1 && c.Holder == (identity.ID{}) }

// Expired reports whether the token has expired at the given time.
func (c Claims) Expired(now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

// newClaims returns claims with a random id. The ttl is rounded up to a second.
func newClaims(listener identity.ID, caps proto.Caps, ttl time.Duration, uses uint16, holder identity.ID) (Claims, error) {
	c := Claims{Listener: listener, Caps: caps, Uses: uses, Holder: holder}
	if caps == 0 {
		return c, errors.New("a token must allow something")
	}
	if ttl < 0 {
		return c, errors.New("a token's life can't be negative")
	}
	if ttl > 0 {
		c.Expires = time.Unix(time.Now().Add(ttl+time.Second-1).Unix(), 0)
		if c.Expires.Unix() > maxExpires {
			return c, errors.New("a token's life ends after the year 9999")
		}
	}
	_, err := rand.Read(c.ID[:])
	return c, err
}

// newSessionToken returns a token with a random secret.
func newSessionToken(listener identity.ID, caps proto.Caps, ttl time.Duration, uses uint16, holder identity.ID, addrs []string) (Token, error) {
	c, err := newClaims(listener, caps, ttl, uses, holder)
	if err != nil {
		return Token{}, err
	}
	t := Token{Claims: c, Addrs: addrs, secret: make([]byte, secretBytes)}
	_, err = rand.Read(t.secret)
	return t, err
}

// NewCapability returns a capability signed by key. If holder is not zero, no
// other node can use it. With a ttl of 0 it never expires.
func NewCapability(key *identity.Key, caps proto.Caps, ttl time.Duration, uses uint16, holder identity.ID, addrs []string) (Token, error) {
	c, err := newClaims(key.ID(), caps, ttl, uses, holder)
	if err != nil {
		return Token{}, err
	}
	c.Signed = true
	return Token{Claims: c, Addrs: addrs, secret: capabilitySecret(key, c)}, nil
}

// capabilitySecret returns the secret of the capability of key with the given
// claims. The label separates these signatures from TLS's and from every other
// use of the key.
func capabilitySecret(key *identity.Key, c Claims) []byte {
	return key.Sign(append([]byte(proto.LabelCapability+"\x00"), c.encode()...))
}

// Equal reports whether two tokens have the same claims and secret; addresses are
// not compared. Its time does not depend on the secrets.
func (t Token) Equal(u Token) bool {
	return t.Claims == u.Claims && subtle.ConstantTimeCompare(t.secret, u.secret) == 1
}

// Encode returns the token's text, secret included.
func (t Token) Encode() (string, error) {
	if len(t.Addrs) > identity.MaxAddrs {
		return "", fmt.Errorf("a token holds at most %d addresses", identity.MaxAddrs)
	}
	b := t.encode()
	b = append(b, byte(len(t.Addrs)))
	for _, a := range t.Addrs {
		var err error
		if b, err = appendAddr(b, a); err != nil {
			return "", err
		}
	}
	b = append(b, t.secret...)
	return Prefix + base32Text.EncodeToString(append(b, checksum(b)...)), nil
}

// checksum returns the last bytes of a token. They tell a mistyped token from an
// invalid one; they protect against nothing.
func checksum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(Prefix), b...))
	return sum[:checkBytes]
}

// Parse reads the text of a token, in any case of its letters: a QR code of upper-case
// letters is smaller. An error has code [proto.Usage] and says what is wrong and where,
// but never contains a part of the text.
func Parse(text string) (Token, error) {
	t, err := parse(text)
	if err != nil {
		return Token{}, proto.Errorf(proto.Usage, "not a token: %w", err)
	}
	return t, nil
}

func parse(text string) (Token, error) {
	var t Token
	if len(text) > MaxTextBytes {
		return t, fmt.Errorf("it is longer than %d characters", MaxTextBytes)
	}
	text = strings.ToLower(text)
	if !strings.HasPrefix(text, Prefix) {
		return t, fmt.Errorf("it does not begin with %s", Prefix)
	}
	raw, err := base32Text.DecodeString(text[len(Prefix):])
	if err != nil {
		return t, damage(text)
	}
	if len(raw) < checkBytes {
		return t, errors.New("it is too short: the end is missing")
	}
	b, sum := raw[:len(raw)-checkBytes], raw[len(raw)-checkBytes:]
	if !bytes.Equal(checksum(b), sum) {
		return t, damage(text)
	}
	if t.Claims, b, err = parseClaims(b); err != nil {
		return t, err
	}
	if t.Addrs, b, err = parseAddrs(b); err != nil {
		return t, err
	}
	if want := t.secretLen(); len(b) != want {
		return t, fmt.Errorf("secret of %d bytes, want %d", len(b), want)
	}
	t.secret = bytes.Clone(b)
	if again, err := t.Encode(); err != nil || again != text {
		return t, errors.New("it is not in its one valid form")
	}
	return t, nil
}
