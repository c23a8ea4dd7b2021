package relay

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// Specification: hubs, relays and nodes must agree on these.
const (
	// LabelPermit and a zero byte begin what the hub signs of a permit.
	LabelPermit = "mesh/1 relay permit"
	// OwnKeyLabel derives, from the hub's key (see [identity.Key.Derive]), the key of the
	// permits for the relay that the hub is itself.
	OwnKeyLabel = "mesh-hub/1 own relay"
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
	macBytes       = sha256.Size
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
func (p Permit) Sign(hub *identity.Key) (string, error) { return p.text(hub.Sign) }

// Authenticate is Sign for the relay that the hub is itself: it takes a MAC under the key of
// [OwnKeyLabel] too, which costs a hundredth of a signature.
func (p Permit) Authenticate(own []byte) (string, error) {
	return p.text(func(b []byte) []byte { return macOf(own, b) })
}

// text returns the text of the permit. prove makes the proof: a signature or a MAC.
func (p Permit) text(prove func([]byte) []byte) (string, error) {
	if err := p.check(); err != nil {
		return "", fmt.Errorf("sign a permit: %w", err)
	}
	b := p.encode()
	text := encodeText(b) + "." + encodeText(prove(signedText(b)))
	if len(text) > MaxPermitBytes {
		return "", fmt.Errorf("sign a permit: it has %d bytes, the limit is %d", len(text), MaxPermitBytes)
	}
	return text, nil
}

// encode writes the payload as [json.Marshal] would. No text in a permit that has passed
// its check needs an escape.
func (p Permit) encode() []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"v":`+strconv.Itoa(permitVersion)+`,"kind":"`+string(p.Kind)+`","session":"`...)
	b = hex.AppendEncode(b, p.Session[:])
	b = append(b, `","node":"`+p.Node.String()+`","peer":"`+p.Peer.String()+`","role":"`+string(p.Role)+`","relay":"`+p.Relay+`","rate":`...)
	b = append(strconv.AppendUint(b, p.Rate, 10), `,"bytes":`...)
	b = append(strconv.AppendUint(b, p.Bytes, 10), `,"expires":`...)
	return append(strconv.AppendInt(b, p.Expires.Unix(), 10), '}')
}

func signedText(payload []byte) []byte { return append([]byte(LabelPermit+"\x00"), payload...) }

func macOf(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// base64Text has one text for all bytes: Strict refuses other trailing bits.
var base64Text = base64.RawURLEncoding.Strict()

func encodeText(b []byte) string { return base64Text.EncodeToString(b) }

// ParsePermit parses the text of a permit that the hub has signed, or, if own is not
// empty, authenticated with that key. It reads no clock: see [Permit.Check]. An error has
// code [proto.Denied] if the signature is not the hub's, else [proto.Protocol], and does not
// repeat the text.
func ParsePermit(text string, hub identity.ID, own []byte) (Permit, error) {
	b, proof, err := parts(text)
	if err != nil {
		return Permit{}, proto.Errorf(proto.Protocol, "not a permit: %w", err)
	}
	// The proof is checked first: nothing but the hub's own payloads is parsed.
	if !proves(proof, signedText(b), hub, own) {
		return Permit{}, proto.Errorf(proto.Denied, "the permit is not signed by hub %s for this relay", hub.Short())
	}
	p, err := decode(b)
	if err != nil {
		return Permit{}, proto.Errorf(proto.Protocol, "not a permit: %w", err)
	}
	return p, nil
}

// proves reports whether proof is the hub's signature of text, or its MAC. Its length says
// which.
func proves(proof, text []byte, hub identity.ID, own []byte) bool {
	if len(proof) == macBytes {
		return len(own) > 0 && hmac.Equal(proof, macOf(own, text))
	}
	return ed25519.Verify(hub[:], text, proof)
}

// parts returns the payload and the proof in the text of a permit, of which nothing is
// checked but that they have this one text.
func parts(text string) (payload, proof []byte, err error) {
	if len(text) > MaxPermitBytes {
		return nil, nil, fmt.Errorf("it has %d bytes, the limit is %d", len(text), MaxPermitBytes)
	}
	first, second, _ := strings.Cut(text, ".")
	payload, err = base64Text.DecodeString(first)
	proof, err2 := base64Text.DecodeString(second)
	if err != nil || err2 != nil || len(proof) != signatureBytes && len(proof) != macBytes || strings.ContainsAny(text, "\r\n") {
		return nil, nil, errors.New("characters are wrong or missing")
	}
	return payload, proof, nil
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
	if string(p.encode()) != string(b) {
		return Permit{}, errors.New("its payload is not in its one form")
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
