// Package xtest holds what the tests of several packages share. Product code
// does not import it.
package xtest

import (
	"math/rand/v2"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
)

// WantCode reports an error of the test unless err has the exit code want. A nil
// err has the code [proto.OK].
func WantCode(t testing.TB, what string, err error, want proto.Code) {
	t.Helper()
	if got := proto.CodeOf(err); got != want {
		t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
	}
}

// NewKey returns a new node key.
func NewKey(t testing.TB) *identity.Key {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Random returns n bytes that do not compress. They are the same for each n, so
// that a failure can be repeated.
func Random(n int) []byte {
	b := make([]byte, n)
	seed := [32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	_, _ = rand.NewChaCha8(seed).Read(b) // always nil
	return b
}
