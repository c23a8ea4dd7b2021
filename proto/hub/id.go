package hub

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// ID is 16 random bytes: the id of a session, or of an instance of a node.
type ID [16]byte

// NewID returns a random id.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// String returns 32 hexadecimal digits.
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
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(ID{}) || hex.EncodeToString(b) != s {
		return ID{}, fmt.Errorf("not an id: want %d hexadecimal digits", 2*len(ID{}))
	}
	return ID(b), nil
}

func checkID(what string, id ID) error {
	if id == (ID{}) {
		return errors.New(what + " is absent")
	}
	return nil
}
