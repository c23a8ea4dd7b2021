// Package identity has a node's identity: its Ed25519 node key and its node id. It
// also has the address book: known_peers, with the names and keys of other nodes,
// and authorized_peers, with what they may do here.
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

// base32Text is the base32 of RFC 4648 in lower case without padding. It can be read
// aloud, and a double click selects all of it.
var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String returns the text of the id: "mk1", then key and checksum in base32.
func (id ID) String() string {
	return idPrefix + base32Text.EncodeToString(append(id[:], id.checksum()...))
}

// Short returns the first letters of the text, to show to a person. It does not
// identify a node: another key with the same letters is quickly found.
func (id ID) Short() string { return id.String()[:len(idPrefix)+8] }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *ID) UnmarshalText(text []byte) error {
	got, err := ParseID(string(text))
	*id = got
	return err
}

// checksum returns the checksum at the end of the text. It keeps a mistyped id from
// being another valid one.
func (id ID) checksum() []byte {
	sum := sha256.Sum256(append([]byte("mesh node id"), id[:]...))
	return sum[:idCheckBytes]
}

// ParseID parses the text of a node id. Each id has one valid text.
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
