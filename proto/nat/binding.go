package nat

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pion/stun/v4"

	"mesh/proto/candidate"
)

// A check is a Binding request of one end of a session to the other. Both messages have
// these attributes, in this order, and no other ones are looked at:
//
//	request   USERNAME, PRIORITY, a filler, MESSAGE-INTEGRITY-SHA256, FINGERPRINT
//	answer    XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY-SHA256, FINGERPRINT
//
// The key of both is that of the end that asks, so a request that somebody sends back to
// where it came from has the wrong key. With the filler no answer is longer than the
// request. The transaction id begins with a number that grows from one request of an end
// to the next, 8 bytes, so that the other end recognises a replay.

const (
	// maxCheckBytes bounds a check.
	maxCheckBytes = 120

	integrityBytes   = 4 + sha256.Size
	fingerprintBytes = 4 + 4
)

// sessionName is the USERNAME of a session's checks: the first bytes of its id. Two
// sessions may have the same one.
type sessionName [8]byte

// punchKey makes MESSAGE-INTEGRITY-SHA256 (RFC 8489, section 14.6), which the library
// lacks.
type punchKey [32]byte

// mac returns the HMAC of a message that ends before the attribute, as if it ended
// behind it.
func (k *punchKey) mac(before []byte) []byte {
	var header [4]byte
	copy(header[:], before)
	binary.BigEndian.PutUint16(header[2:], uint16(len(before)-headerBytes+integrityBytes))
	h := hmac.New(sha256.New, k[:])
	h.Write(header[:])
	h.Write(before[4:])
	return h.Sum(nil)
}

// AddTo implements [stun.Setter].
func (k *punchKey) AddTo(m *stun.Message) error {
	m.Add(stun.AttrMessageIntegritySHA256, k.mac(m.Raw))
	return nil
}

// Check implements [stun.Checker]. It accepts the attribute at the end of the message
// only, before FINGERPRINT.
func (k *punchKey) Check(m *stun.Message) error {
	at := len(m.Raw) - fingerprintBytes - integrityBytes
	if at < headerBytes || stun.AttrType(binary.BigEndian.Uint16(m.Raw[at:])) != stun.AttrMessageIntegritySHA256 {
		return errors.New("no MESSAGE-INTEGRITY-SHA256 before FINGERPRINT")
	}
	got, err := m.Get(stun.AttrMessageIntegritySHA256)
	if err != nil {
		return err
	}
	if !hmac.Equal(got, k.mac(m.Raw[:at])) {
		return errors.New("wrong MESSAGE-INTEGRITY-SHA256")
	}
	return stun.Fingerprint.Check(m)
}

// checkID returns the transaction id of the request with a number.
func checkID(n uint64) (id stunID) {
	binary.BigEndian.PutUint64(id[:], n)
	_, _ = rand.Read(id[8:]) // never fails
	return id
}

func checkNumber(id stunID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// newCheck makes a request.
func newCheck(name sessionName, id stunID, key *punchKey) ([]byte, error) {
	m := message(stun.BindingRequest, id)
	if err := stun.Username(name[:]).AddTo(m); err != nil {
		return nil, err
	}
	priority := candidate.Priority(candidate.PeerReflexive, 1<<16-1)
	m.Add(stun.AttrPriority, binary.BigEndian.AppendUint32(nil, priority))
	m.Add(attrFill, make([]byte, 4))
	return seal(m, key)
}

// nameOf returns the session that a request names.
func nameOf(m *stun.Message) (name sessionName, ok bool) {
	v, err := m.Get(stun.AttrUsername)
	if err != nil || len(v) != len(name) || len(m.Raw) > maxCheckBytes {
		return name, false
	}
	return sessionName(v), true
}

// newCheckAnswer makes the answer to a request that came from an address.
func newCheckAnswer(request *stun.Message, from netip.AddrPort, key *punchKey) ([]byte, error) {
	m := message(stun.BindingSuccess, request.TransactionID)
	if err := (stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}).AddTo(m); err != nil {
		return nil, err
	}
	b, err := seal(m, key)
	if err == nil && len(b) > len(request.Raw) {
		err = fmt.Errorf("answer of %d bytes to a request of %d", len(b), len(request.Raw))
	}
	return b, err
}

func seal(m *stun.Message, key *punchKey) ([]byte, error) {
	err := errors.Join(key.AddTo(m), stun.Fingerprint.AddTo(m))
	return m.Raw, err
}
