package hub

import (
	"errors"
	"fmt"
	"slices"

	"mesh/proto"
	"mesh/proto/identity"
)

// Request (dialer) asks for a session with the node To: a name, room/name or node id.
// Want is a list of capabilities as [proto.Caps] prints it. Seal is the public half of a
// [SealKey]. AnswerS is how long the dialer waits for an answer; 0 stands for
// [AnswerTimeout].
type Request struct {
	Session  ID       `json:"session"`
	To       string   `json:"to"`
	Kind     Kind     `json:"kind"`
	Want     string   `json:"want,omitzero"`
	Seal     []byte   `json:"seal"`
	AnswerS  uint32   `json:"answer_s,omitzero"`
	Vouchers []string `json:"vouchers,omitzero"`
	Bearer   *Bearer  `json:"bearer,omitzero"`
	Sig      []byte   `json:"sig"`
}

// Offer (hub to listener) passes a request on. Its envelope names the dialer.
type Offer struct {
	Request Request `json:"request"`
	Relay   []Relay `json:"relay,omitzero"`
}

// SessionRef is the data of p2p.session.pending (listener, passed on to the dialer: a
// person is asked), p2p.session.cancel (dialer) and p2p.session.cancelled (hub to
// listener).
type SessionRef struct {
	Session ID `json:"session"`
}

// Accept (listener) has the [Grant], sealed for the request's key.
type Accept struct {
	Session ID     `json:"session"`
	Sealed  []byte `json:"sealed"`
	Sig     []byte `json:"sig"`
}

// Decline (listener) refuses a request.
type Decline struct {
	Session ID     `json:"session"`
	Code    string `json:"code"`
}

// Declined (hub to dialer) has the listener's code, "timeout" or "offline".
type Declined struct {
	Session     ID     `json:"session"`
	Code        string `json:"code"`
	RetryAfterS uint32 `json:"retry_after,omitzero"`
}

// The roles in [Created].
const (
	RoleDialer   = "dialer"
	RoleListener = "listener"
)

// Created (hub to both ends) says that the listener has accepted. SessionToken (the
// sealed grant) and Sig are for the dialer only. Peer and Name are the other end as the
// hub knows it; the dialer believes only Sig.
type Created struct {
	Session      ID          `json:"session"`
	Role         string      `json:"role"`
	Peer         identity.ID `json:"peer"`
	Name         string      `json:"name,omitzero"`
	Kind         Kind        `json:"kind"`
	SessionToken []byte      `json:"session_token,omitzero"`
	Sig          []byte      `json:"sig,omitzero"`
	Vouchers     []string    `json:"vouchers,omitzero"`
	ExpiresS     uint32      `json:"expires_s"`
	Relay        []Relay     `json:"relay,omitzero"`
}

// Candidates (either end, passed to the other) has a [Meeting], sealed. Gen counts from
// 1 in each session; a newer one replaces the older ones.
type Candidates struct {
	Session ID     `json:"session"`
	Gen     uint64 `json:"gen"`
	Sealed  []byte `json:"sealed"`
}

// ReasonPaired is the reason in [Closed] of an end that keeps the other one for good.
const ReasonPaired = "paired"

// Closed (either end, passed to the other) ends the session at the hub. Path is the kind
// of path that the link used, and MS the time until it was there; both are optional.
type Closed struct {
	Session ID     `json:"session"`
	Reason  string `json:"reason"`
	Path    string `json:"path,omitzero"`
	MS      uint32 `json:"ms,omitzero"`
}

func (r *Request) check() error {
	err := errors.Join(checkID("session", r.Session), checkPeer("to", r.To), checkKind(r.Kind), checkCaps(r.Want), checkBytes("seal", r.Seal, SealKeyBytes),
		checkVouchers(r.Vouchers), checkBytes("sig", r.Sig, SignatureBytes))
	if r.AnswerS > uint32(MaxAnswer.Seconds()) {
		err = errors.Join(err, fmt.Errorf("answer_s %d, the limit is %.0f", r.AnswerS, MaxAnswer.Seconds()))
	}
	if b := r.Bearer; b != nil && (b.Method != MethodKnown && b.Method != MethodResume || len(b.Token) > 2<<10 || len(b.MAC) != 32) {
		err = errors.Join(err, errors.New("bearer is malformed"))
	}
	return err
}

func (o *Offer) check() error { return errors.Join(o.Request.check(), checkRelays(o.Relay)) }

func (s *SessionRef) check() error { return checkID("session", s.Session) }

func (a *Accept) check() error {
	return errors.Join(checkID("session", a.Session), checkSealed(a.Sealed), checkBytes("sig", a.Sig, SignatureBytes))
}

func (d *Decline) check() error {
	if !slices.Contains(declineCodes, d.Code) {
		return errors.New("a listener declines with busy, declined, denied, capability or kind")
	}
	return checkID("session", d.Session)
}

func (d *Declined) check() error {
	return errors.Join(checkID("session", d.Session), checkText("code", d.Code, MaxTextBytes))
}

func (c *Created) check() error {
	err := errors.Join(checkID("session", c.Session), checkKey("peer", c.Peer), checkText("name", c.Name, MaxTextBytes), checkKind(c.Kind), checkVouchers(c.Vouchers), checkRelays(c.Relay))
	switch c.Role {
	case RoleDialer:
		return errors.Join(err, checkSealed(c.SessionToken), checkBytes("sig", c.Sig, SignatureBytes))
	case RoleListener:
		return err
	}
	return errors.Join(err, errors.New("role is neither dialer nor listener"))
}

func (c *Candidates) check() error {
	if c.Gen == 0 {
		return errors.New("gen counts from 1")
	}
	return errors.Join(checkID("session", c.Session), checkSealed(c.Sealed))
}

func (c *Closed) check() error {
	return errors.Join(checkID("session", c.Session), checkText("reason", c.Reason, MaxTextBytes), checkText("path", c.Path, MaxTextBytes))
}

func checkPeer(what, s string) error {
	if s == "" {
		return errors.New(what + " is absent")
	}
	return checkText(what, s, MaxTextBytes)
}

func checkSealed(b []byte) error {
	switch {
	case len(b) == 0:
		return errors.New("sealed is absent")
	case len(b) > MaxSealedBytes:
		return fmt.Errorf("%w: sealed of %d bytes, the limit is %d", ErrTooLarge, len(b), MaxSealedBytes)
	}
	return nil
}

// checkCaps accepts the one spelling of each set, since it is signed.
func checkCaps(list string) error {
	if list == "" {
		return nil
	}
	caps, err := proto.ParseCaps(list)
	if err != nil {
		return errors.New("want has a capability that this version does not know")
	}
	if caps.String() != list {
		return errors.New("want is not in the order of capabilities")
	}
	return nil
}
