// Package identity holds who a node is: its Ed25519 node key, the node id that
// others know it by, and the two files that say whom it knows and whom it
// allows in (known_peers, authorized_peers).
package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
)

// ID is a node id: the public half of a node key.
type ID [ed25519.PublicKeySize]byte

const (
	idPrefix     = "mk1"
	idCheckBytes = 4
	idTextBytes  = len(idPrefix) + (ed25519.PublicKeySize+idCheckBytes)*8/5 + 1
)

// base32Text is RFC 4648 base32 in lower case without padding: it survives
// being read aloud, and a double click selects it whole.
var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String returns the id as text: "mk1", then key and checksum in base32.
func (id ID) String() string {
	return idPrefix + base32Text.EncodeToString(append(id[:], id.check()...))
}

// Short returns the first letters of the text, for people: it identifies
// nobody.
func (id ID) Short() string { return id.String()[:len(idPrefix)+8] }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *ID) UnmarshalText(text []byte) error {
	got, err := ParseID(string(text))
	*id = got
	return err
}

// check returns the checksum that ends the text: a slip of the pen must not
// become somebody else's key.
func (id ID) check() []byte {
	sum := sha256.Sum256(append([]byte("mesh node id"), id[:]...))
	return sum[:idCheckBytes]
}

// ParseID reads the text of a node id. There is one valid text for each id.
func ParseID(s string) (ID, error) {
	var id ID
	if !strings.HasPrefix(s, idPrefix) {
		return id, errors.New("not a node id: it does not begin with " + idPrefix)
	}
	if len(s) != idTextBytes {
		return id, errors.New("not a node id: wrong length")
	}
	raw, err := base32Text.DecodeString(s[len(idPrefix):])
	if err != nil {
		return id, errors.New("not a node id: a character that is not base32")
	}
	copy(id[:], raw)
	if id.String() != s {
		return ID{}, errors.New("not a node id: the checksum is wrong")
	}
	return id, nil
}
