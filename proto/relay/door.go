package relay

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// Specification: relays and nodes must agree on these.
const (
	// Magic begins a connection to the plain door. Its first byte tells the connection
	// from one of TLS.
	Magic = "MESHRLY1"
	// PathWebSocket is the path of the other door, Subprotocol its WebSocket
	// subprotocol, and Scheme the scheme of its Authorization header.
	PathWebSocket = "/relay/v1"
	Subprotocol   = "mesh-relay.v1"
	Scheme        = "Mesh-Permit"
	// ChallengeBytes is the length of the relay's random challenge.
	ChallengeBytes = 16
	// LabelDoor begins what a node signs at the door. It is "relay" among the labels of
	// package hub.
	LabelDoor = "mesh-hub/1 relay"
	// MaxMessageBytes bounds a message of the WebSocket.
	MaxMessageBytes = 256 << 10
	// StatusEvery is the time between two status bytes to a place.
	StatusEvery = 15 * time.Second
	// DoorTimeout bounds the time in which a node sends its permit and its signature.
	DoorTimeout = 5 * time.Second
)

// Names of the doors, in logs, metrics and receipts.
const (
	DoorTCP = "tcp"
	DoorWSS = "wss"
)

// Status is a byte that a relay sends before the stream of the other end.
type Status byte

// The statuses. A byte from 16 on refuses the connection: 16 and an exit code.
const (
	// Waiting says that the connection has its place and the other end is not there.
	Waiting Status = 0
	// Joined says that the stream of the other end follows.
	Joined Status = 1
	// Left is Waiting, and the process at the other end has ended its last connection
	// itself.
	Left Status = 2
	// Draining says that the relay is about to end.
	Draining Status = 3

	refusedBase Status = 16
)

// Refusals are the codes with which a relay refuses a connection, and their meanings.
var Refusals = map[proto.Code]string{
	proto.Timeout:  "the permit has expired",
	proto.Busy:     "it has no free place, or the session has used up its bytes",
	proto.Denied:   "the permit is not good there, or not for this node",
	proto.Protocol: "it can't make sense of what it was sent",
}

// Refuse returns the status that refuses a connection. A code that no relay sends
// becomes [proto.Protocol].
func Refuse(c proto.Code) Status {
	if _, ok := Refusals[c]; !ok {
		c = proto.Protocol
	}
	return refusedBase + Status(c)
}

// Refused is the error of a connection that the relay has refused.
type Refused struct{ Code proto.Code }

// Error returns what the code means.
func (r *Refused) Error() string { return "refused: " + Refusals[r.Code] }

// Check returns a [*Refused] for the status of a refusal, and an error with code
// [proto.Protocol] for a byte that is no status.
func (s Status) Check() error {
	if s <= Draining {
		return nil
	}
	code := proto.Code(s) - proto.Code(refusedBase)
	if _, ok := Refusals[code]; !ok || s < refusedBase {
		return proto.Errorf(proto.Protocol, "the relay sends status %d, which has no meaning", byte(s))
	}
	return &proto.Error{Code: code, Err: &Refused{code}}
}

// String returns the name of the status.
func (s Status) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Joined:
		return "joined"
	case Left:
		return "left"
	case Draining:
		return "draining"
	}
	return fmt.Sprintf("status %d", byte(s))
}

// AppendGreeting appends what a node sends first at the plain door.
func AppendGreeting(b []byte, permit string) []byte {
	b = append(b, Magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(permit)))
	return append(b, permit...)
}

// ReadGreeting reads what a node sends first at the plain door, not one byte more, and
// returns the text of its permit, which is not checked. It reads [MaxPermitBytes] and a
// header of 10 bytes at most.
func ReadGreeting(r io.Reader) (permit string, err error) {
	var head [len(Magic) + 2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint16(head[len(Magic):])
	if string(head[:len(Magic)]) != Magic || n == 0 || n > MaxPermitBytes {
		return "", &proto.Error{Code: proto.Protocol, Err: errors.New("no greeting of a node that wants to join")}
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", err
	}
	return string(text), nil
}

// doorText returns what the node signs at the door of the relay.
func doorText(relay, permit string, challenge []byte) []byte {
	sum := sha256.Sum256([]byte(permit))
	b := append([]byte(LabelDoor), 0)
	for _, part := range [][]byte{[]byte(relay), sum[:], challenge} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		b = append(b, part...)
	}
	return b
}

// SignDoor returns the node's answer to the challenge of the relay that the permit names.
func SignDoor(node *identity.Key, relay, permit string, challenge []byte) []byte {
	return node.Sign(doorText(relay, permit, challenge))
}

// checkDoor reports whether the node of the permit has signed the challenge.
func checkDoor(node identity.ID, relay, permit string, challenge, sig []byte) bool {
	return ed25519.Verify(node[:], doorText(relay, permit, challenge), sig)
}
