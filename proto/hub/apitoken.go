package hub

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// APITokenPrefix begins the text of an API token.
const APITokenPrefix = "mh1"

// APIKeyLabel derives the key of API tokens from the hub's key (see
// [identity.Key.Derive]). All hubs with one key take the same tokens.
const APIKeyLabel = "mesh-hub/1 api"

const (
	apiTokenIDBytes     = 8
	apiTokenSecretBytes = 32
	apiTokenHeldBytes   = 1 + apiTokenIDBytes + apiTokenSecretBytes
	apiTokenMACBytes    = sha256.Size
	apiTokenSignedBytes = 1 + 1 + 8 + 32
)

// Scope names a part of the REST API.
type Scope string

// The scopes. [ScopeAdmin] contains the others.
const (
	ScopeRead   Scope = "read"   // peers, names and rooms
	ScopeSelf   Scope = "self"   // the node's own names and sessions
	ScopeInvite Scope = "invite" // invites
	ScopeAdmin  Scope = "admin"
)

// Scopes are all scopes, in the order of their bits in a token.
var Scopes = []Scope{ScopeRead, ScopeSelf, ScopeInvite, ScopeAdmin}

// HasScope reports whether a list of scopes contains one.
func HasScope(list []Scope, s Scope) bool {
	return slices.Contains(list, s) || slices.Contains(list, ScopeAdmin)
}

// CheckScopes returns an error unless each element is a scope, and none is there twice.
func CheckScopes(list []Scope) error {
	for i, s := range list {
		if !slices.Contains(Scopes, s) || slices.Contains(list[:i], s) {
			return errors.New("scopes are read, self, invite and admin, each once")
		}
	}
	return nil
}

// APIToken is the key of the REST API. Its bytes, whose text is base32 after "mh1", are
// those of a short-lived one, which the hub does not store,
//
//	0 u8 | scopes u8, a bit for each of [Scopes] | expires u64 | node 32 | MAC 32
//
// or of a lasting one, of which the hub stores id and SHA-256 of the secret:
//
//	1 u8 | id 8 | secret 32
//
// The MAC is HMAC-SHA-256 of all before it.
type APIToken struct {
	// Lasting says that ID and Secret are set, and nothing else.
	Lasting bool
	ID      [apiTokenIDBytes]byte
	Secret  [apiTokenSecretBytes]byte

	Scopes  []Scope
	Expires time.Time // in whole seconds
	Node    identity.ID

	signed, mac []byte // what was parsed
}

// NewLastingToken returns a lasting token with a random id and secret.
func NewLastingToken() APIToken {
	t := APIToken{Lasting: true}
	_, _ = rand.Read(t.ID[:]) // never fails (crypto/rand)
	_, _ = rand.Read(t.Secret[:])
	return t
}

// IDText returns the id of a lasting token as the API shows it.
func (t APIToken) IDText() string { return hex.EncodeToString(t.ID[:]) }

// Hash returns what the hub stores of the secret.
func (t APIToken) Hash() []byte {
	sum := sha256.Sum256(t.Secret[:])
	return sum[:]
}

// Encode returns the text, secret included. The key is needed for a short-lived token.
func (t APIToken) Encode(key []byte) string {
	if t.Lasting {
		b := append([]byte{1}, t.ID[:]...)
		return APITokenPrefix + base32Text.EncodeToString(append(b, t.Secret[:]...))
	}
	bits := byte(0)
	for i, s := range Scopes {
		if slices.Contains(t.Scopes, s) {
			bits |= 1 << i
		}
	}
	b := binary.BigEndian.AppendUint64([]byte{0, bits}, uint64(t.Expires.Unix()))
	b = append(b, t.Node[:]...)
	return APITokenPrefix + base32Text.EncodeToString(append(b, apiTokenMAC(key, b)...))
}

func apiTokenMAC(key, text []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(text)
	return m.Sum(nil)
}

// ParseAPIToken parses the result of [APIToken.Encode]. What it says holds only once
// [APIToken.Verify] is true. The error does not repeat the text.
func ParseAPIToken(text string) (APIToken, error) {
	bad := proto.Errorf(proto.Usage, "not an API token: it begins with %s and is copied as a whole", APITokenPrefix)
	rest, ok := strings.CutPrefix(text, APITokenPrefix)
	if !ok || len(text) > proto.MaxTextBytes {
		return APIToken{}, bad
	}
	b, err := base32Text.DecodeString(rest)
	if err != nil || base32Text.EncodeToString(b) != rest {
		return APIToken{}, bad
	}
	switch {
	case len(b) == apiTokenHeldBytes && b[0] == 1:
		return APIToken{Lasting: true, ID: [apiTokenIDBytes]byte(b[1:9]), Secret: [apiTokenSecretBytes]byte(b[9:])}, nil
	case len(b) == apiTokenSignedBytes+apiTokenMACBytes && b[0] == 0:
		return parseSigned(b[:apiTokenSignedBytes], b[apiTokenSignedBytes:], bad)
	}
	return APIToken{}, bad
}

func parseSigned(b, mac []byte, bad error) (APIToken, error) {
	t := APIToken{Node: identity.ID(b[10:]), signed: b, mac: mac}
	expires := binary.BigEndian.Uint64(b[2:10])
	if expires == 0 || expires > maxExpires || b[1] == 0 || b[1] >= 1<<len(Scopes) {
		return APIToken{}, bad
	}
	t.Expires = time.Unix(int64(expires), 0)
	for i, s := range Scopes {
		if b[1]&(1<<i) != 0 {
			t.Scopes = append(t.Scopes, s)
		}
	}
	return t, nil
}

// Verify reports whether a hub with the key made this short-lived token.
func (t APIToken) Verify(key []byte) bool {
	return !t.Lasting && len(t.mac) == apiTokenMACBytes && hmac.Equal(t.mac, apiTokenMAC(key, t.signed))
}

// String returns no secret, so that none is printed by accident.
func (t APIToken) String() string { return "API token" }

// GoString returns what [APIToken.String] does.
func (t APIToken) GoString() string { return t.String() }

// LogValue implements [slog.LogValuer] as String does.
func (t APIToken) LogValue() slog.Value { return slog.StringValue(t.String()) }
