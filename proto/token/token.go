// Package token makes, reads and checks tokens: what a listener gives out so
// that one peer, or a few, may come in.
//
// A token holds claims (whose it is, what it allows, until when), addresses,
// and a secret. The secret never crosses the wire: the dialer proves that it
// has it (package handshake). There are two kinds.
//
// A session token belongs to the process that printed it, which keeps the
// secret, 16 random bytes, in memory. It is short, and dies with the process.
//
// A signed capability is for any listener of the node, one that runs or one
// that starts later. Its secret is the Ed25519 signature of its claims by the
// node key. The listener keeps nothing: it gets the claims in P2P_HELLO, signs
// them again (Ed25519 is deterministic, RFC 8032 section 5.1.6) and so has the
// secret to check the proof with. That is why this is a structure of our own
// and not PASETO: a PASETO is shown whole to whom it is meant for, and here
// not even the listener sees the secret cross the wire; and the same bytes
// serve both kinds.
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

// Prefix is how the text of each token begins.
const Prefix = "mesh1"

const (
	// MaxTextBytes bounds the text of a token before it is looked at.
	MaxTextBytes = 2 << 10
	secretBytes  = 16
	checkBytes   = 4
	// maxExpires keeps times within what every clock can show (year 9999).
	maxExpires = 253402300799
)

// signLabel separates these signatures from TLS's and any other use of the key.
const signLabel = "mesh/1 capability\x00"

// base32Text is as in node ids.
var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID names a token. It is no secret.
type ID [8]byte

// String returns 16 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseID reads what [ID.String] prints.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return id, fmt.Errorf("not a token id: want %d hexadecimal digits", 2*len(id))
	}
	return ID(b), nil
}

// Claims is what a token says.
type Claims struct {
	// Listener is the node that gave the token out: the dialer's pin.
	Listener identity.ID
	ID       ID
	// Signed tells a signed capability from a session token.
	Signed bool
	Caps   proto.Caps
	// Expires is in whole seconds; zero means never.
	Expires time.Time
	// Uses is how many different nodes may use the token; 0 means any number.
	Uses uint16
	// Holder, if it is not zero, is the only node that may use the token.
	Holder identity.ID
}

// Token is what a bearer has. It prints as its id only; [Token.Encode] gives
// its text.
type Token struct {
	Claims
	// Addrs are where the listener may be found, HOST:PORT. They are hints:
	// the pin, not the address, says who answers.
	Addrs  []string
	secret []byte
}

// String returns the id: a token cannot be printed by accident.
func (t Token) String() string { return "token " + t.ID.String() }

// GoString returns what [Token.String] does.
func (t Token) GoString() string { return t.String() }

// LogValue implements [slog.LogValuer] as String does.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MultiUse reports whether more than one node may use the token. Such a token
// must not be shown on a command line, which everybody on the machine can read.
func (c Claims) MultiUse() bool { return c.Uses != 1 && c.Holder == (identity.ID{}) }

// Expired reports whether the token is of no use any more at the given time.
func (c Claims) Expired(now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

// newClaims returns claims with a fresh id. The life is rounded up to a second.
func newClaims(listener identity.ID, caps proto.Caps, ttl time.Duration, uses uint16) (Claims, error) {
	c := Claims{Listener: listener, Caps: caps, Uses: uses}
	if caps == 0 {
		return c, errors.New("a token must allow something")
	}
	if ttl < 0 {
		return c, errors.New("a token's life is not negative")
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

// NewCapability returns a capability signed by key, to be used by holder alone
// unless that is zero. A ttl of 0 means that it never expires.
func NewCapability(key *identity.Key, caps proto.Caps, ttl time.Duration, uses uint16, holder identity.ID, addrs []string) (Token, error) {
	c, err := newClaims(key.ID(), caps, ttl, uses)
	if err != nil {
		return Token{}, err
	}
	c.Signed, c.Holder = true, holder
	return Token{Claims: c, Addrs: addrs, secret: capabilitySecret(key, c)}, nil
}

// capabilitySecret is the secret of a capability of key with the given claims.
func capabilitySecret(key *identity.Key, c Claims) []byte {
	return key.Sign(append([]byte(signLabel), c.encode()...))
}

// Equal reports whether two tokens are the same but for their addresses. It
// takes the same time for every secret.
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
	return Prefix + base32Text.EncodeToString(append(b, check(b)...)), nil
}

// check is the checksum that ends each token: it tells a mistyped token from a
// wrong one, and is no protection.
func check(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(Prefix), b...))
	return sum[:checkBytes]
}

// Parse reads the text of a token. An error has code [proto.Usage], says what
// is wrong and where, and never shows any of the text.
func Parse(text string) (Token, error) {
	t, err := parse(text)
	if err != nil {
		return Token{}, proto.Errorf(proto.Usage, "not a token: %w", err)
	}
	return t, nil
}

func parse(text string) (Token, error) {
	var t Token
	if !strings.HasPrefix(text, Prefix) {
		return t, fmt.Errorf("it does not begin with %s", Prefix)
	}
	if len(text) > MaxTextBytes {
		return t, fmt.Errorf("longer than %d characters", MaxTextBytes)
	}
	raw, err := base32Text.DecodeString(text[len(Prefix):])
	if err != nil {
		if at, ok := errors.AsType[base32.CorruptInputError](err); ok {
			return t, fmt.Errorf("character %d is wrong or the end is missing", int64(at)+int64(len(Prefix))+1)
		}
		return t, errors.New("not base32")
	}
	if len(raw) < checkBytes {
		return t, errors.New("too short")
	}
	b, sum := raw[:len(raw)-checkBytes], raw[len(raw)-checkBytes:]
	if !bytes.Equal(check(b), sum) {
		return t, errors.New("the checksum is wrong: a character is missing or mistyped")
	}
	if t.Claims, b, err = parseClaims(b); err != nil {
		return t, err
	}
	if t.Addrs, b, err = parseAddrs(b); err != nil {
		return t, err
	}
	if want := t.secretLen(); len(b) != want {
		return t, fmt.Errorf("%d bytes of secret, want %d", len(b), want)
	}
	t.secret = bytes.Clone(b)
	if again, err := t.Encode(); err != nil || again != text {
		return t, errors.New("not in its one valid form")
	}
	return t, nil
}
