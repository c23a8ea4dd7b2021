package relay

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// Specification: hubs, relays and nodes must agree on these.
const (
	// LabelPermit and a zero byte begin what the hub signs of a permit.
	LabelPermit = "mesh/1 relay permit"
	// MaxPermitBytes bounds the text of a permit.
	MaxPermitBytes = 1 << 10
	// MaxNameBytes bounds the name of a relay: a DNS name, a colon and a port.
	MaxNameBytes = 253 + 6
	// PermitLife is how long a permit is good for joining. A pair goes on after it.
	PermitLife = time.Hour
	// DateSlack is how far the clocks of a hub and a relay may differ.
	DateSlack = 10 * time.Minute
)

const (
	permitVersion  = 1
	signatureBytes = ed25519.SignatureSize
	// maxExpires is the end of the year 9999 in seconds since 1970.
	maxExpires = 253402300799
)

// Kind is what a permit is for.
type Kind string

// KindLink is a permit for one end of a link between two nodes.
const KindLink Kind = "link"

// Role is the end of the session that a permit is for.
type Role string

// The roles. A relay joins a dialer and a listener.
const (
	RoleDialer   Role = "dialer"
	RoleListener Role = "listener"
)

// Permit is the right of Node to join a relay for one session.
type Permit struct {
	Kind Kind
	// Session is an id that the dialer has chosen: two permits are of one session only
	// if the dialer and the listener are the same too.
	Session [16]byte
	// Node may use the permit. Peer is the other end, another node.
	Node, Peer identity.ID
	Role       Role
	// Relay is the name of the one relay where the permit is good: HOST or HOST:PORT,
	// as the hub names it, in lower case. It is the same for all doors.
	Relay string
	// Rate bounds the bytes per second of the session, both directions together, and
	// Bytes all of its bytes. 0 is no bound.
	Rate, Bytes uint64
	// Expires is in whole seconds.
	Expires time.Time
}

// payload is what is signed, as JSON.
type payload struct {
	V       int         `json:"v"`
	Kind    Kind        `json:"kind"`
	Session string      `json:"session"`
	Node    identity.ID `json:"node"`
	Peer    identity.ID `json:"peer"`
	Role    Role        `json:"role"`
	Relay   string      `json:"relay"`
	Rate    uint64      `json:"rate"`
	Bytes   uint64      `json:"bytes"`
	Expires int64       `json:"expires"`
}

// Dialer returns the node that dials in the session.
func (p Permit) Dialer() identity.ID {
	if p.Role == RoleDialer {
		return p.Node
	}
	return p.Peer
}

// Listener returns the node that is dialled in the session.
func (p Permit) Listener() identity.ID {
	if p.Role == RoleDialer {
		return p.Peer
	}
	return p.Node
}

// Sign returns the text of the permit, signed with the hub's key. It refuses a permit
// that [ParsePermit] would refuse.
func (p Permit) Sign(hub *identity.Key) (string, error) {
	if err := p.check(); err != nil {
		return "", fmt.Errorf("sign a permit: %w", err)
	}
	b, err := p.encode()
	if err != nil {
		return "", err
	}
	text := encodeText(b) + "." + encodeText(hub.Sign(signedText(b)))
	if len(text) > MaxPermitBytes {
		return "", fmt.Errorf("sign a permit: it has %d bytes, the limit is %d", len(text), MaxPermitBytes)
	}
	return text, nil
}

func (p Permit) encode() ([]byte, error) {
	return json.Marshal(payload{
		permitVersion, p.Kind, hex.EncodeToString(p.Session[:]), p.Node, p.Peer, p.Role, p.Relay, p.Rate, p.Bytes, p.Expires.Unix(),
	})
}

func signedText(payload []byte) []byte { return append([]byte(LabelPermit+"\x00"), payload...) }

// base64Text has one text for all bytes: Strict refuses other trailing bits.
var base64Text = base64.RawURLEncoding.Strict()

func encodeText(b []byte) string { return base64Text.EncodeToString(b) }

// ParsePermit parses the text of a permit that the hub has signed. It reads no clock:
// see [Permit.Check]. An error has code [proto.Denied] if the signature is not the
// hub's, else [proto.Protocol], and does not repeat the text.
func ParsePermit(text string, hub identity.ID) (Permit, error) {
	b, sig, err := parts(text)
	if err != nil {
		return Permit{}, proto.Errorf(proto.Protocol, "not a permit: %w", err)
	}
	// The signature is checked first: nothing but the hub's own payloads is parsed.
	if !ed25519.Verify(hub[:], signedText(b), sig) {
		return Permit{}, proto.Errorf(proto.Denied, "the permit is not signed by hub %s", hub.Short())
	}
	p, err := decode(b)
	if err != nil {
		return Permit{}, proto.Errorf(proto.Protocol, "not a permit: %w", err)
	}
	return p, nil
}

// parts returns the payload and the signature in the text of a permit, of which nothing is
// checked but that they have this one text.
func parts(text string) (payload, sig []byte, err error) {
	if len(text) > MaxPermitBytes {
		return nil, nil, fmt.Errorf("it has %d bytes, the limit is %d", len(text), MaxPermitBytes)
	}
	first, second, _ := strings.Cut(text, ".")
	payload, err = base64Text.DecodeString(first)
	sig, err2 := base64Text.DecodeString(second)
	if err != nil || err2 != nil || len(sig) != signatureBytes || strings.ContainsAny(text, "\r\n") {
		return nil, nil, errors.New("characters are wrong or missing")
	}
	return payload, sig, nil
}

// decode reads the one form of a payload.
func decode(b []byte) (Permit, error) {
	var v payload
	if err := json.Unmarshal(b, &v); err != nil {
		return Permit{}, errors.New("its payload is malformed")
	}
	if v.V != permitVersion {
		return Permit{}, fmt.Errorf("it is of version %d, want %d", v.V, permitVersion)
	}
	session, err := hex.DecodeString(v.Session)
	if err != nil || len(session) != len(Permit{}.Session) {
		return Permit{}, errors.New("its session is not an id")
	}
	p := Permit{
		Kind: v.Kind, Session: [16]byte(session), Node: v.Node, Peer: v.Peer, Role: v.Role,
		Relay: v.Relay, Rate: v.Rate, Bytes: v.Bytes, Expires: time.Unix(v.Expires, 0),
	}
	if err := p.check(); err != nil {
		return Permit{}, err
	}
	if again, err := p.encode(); err != nil || string(again) != string(b) {
		return Permit{}, errors.Join(errors.New("its payload is not in its one form"), err)
	}
	return p, nil
}

// check returns an error unless each field has its form.
func (p Permit) check() error {
	zero := identity.ID{}
	switch {
	case p.Kind != KindLink:
		return errors.New("it is of a kind that this version does not know")
	case p.Session == [16]byte{}:
		return errors.New("it names no session")
	case p.Node == zero || p.Peer == zero || p.Node == p.Peer:
		return errors.New("it does not name two different nodes")
	case p.Role != RoleDialer && p.Role != RoleListener:
		return errors.New("its role is neither dialer nor listener")
	case p.Expires.Unix() <= 0 || p.Expires.Unix() > maxExpires:
		return errors.New("its end is no date")
	}
	return CheckName(p.Relay)
}

// CheckName returns an error unless s can be the name of a relay: HOST or HOST:PORT, in
// lower case, an IPv6 address in brackets.
func CheckName(s string) error {
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:[]", c)
	}
	if s == "" || len(s) > MaxNameBytes || strings.ContainsFunc(s, odd) {
		return fmt.Errorf("a relay is named by up to %d of a-z, 0-9 and . - _ : [ ]", MaxNameBytes)
	}
	return nil
}

// Check returns an error unless the permit is good for joining the named relay now.
// Its code is [proto.Denied] for another relay, [proto.Timeout] for a permit that has
// expired, or whose end is further away than any that a hub would write now.
func (p Permit) Check(relay string, now time.Time) error {
	switch {
	case p.Relay != relay:
		return proto.Errorf(proto.Denied, "the permit is for relay %s, not for %s", p.Relay, relay)
	case now.After(p.Expires.Add(DateSlack)):
		return proto.Errorf(proto.Timeout, "the permit expired %s ago", now.Sub(p.Expires).Round(time.Second))
	case now.Add(PermitLife + DateSlack).Before(p.Expires):
		return proto.Errorf(proto.Timeout, "the permit is good until %s: the clocks of the hub and of the relay differ", p.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}
