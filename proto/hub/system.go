package hub

import (
	"errors"
	"fmt"
	"slices"

	"mesh/proto/identity"
)

// Kind is what a connection of a node takes: an event names it and names are asked with
// it.
type Kind string

// The kinds. [KindPing] asks for any connection of a node.
const (
	KindPipe  Kind = "pipe"
	KindFiles Kind = "files"
	KindTTY   Kind = "tty"
	KindPing  Kind = "ping"
	// KindPair is that of codes of two nodes that get to know each other for good.
	KindPair Kind = "pair"
)

// The codes of system.error and of p2p.session.declined.
const (
	CodeBadEvent    = "bad_event"
	CodeRateLimited = "rate_limited"
	CodeLimit       = "limit"
	CodeTooLarge    = "too_large"
	CodeDraining    = "draining"
	CodeInternal    = "internal"
	CodeUnsupported = "unsupported"
	CodeNotFound    = "not_found"
	CodeOffline     = "offline"
	CodeTaken       = "taken"
	CodeReserved    = "reserved"
	CodeBadName     = "bad_name"
	CodeDenied      = "denied"
	CodeGone        = "gone"
	CodeTimeout     = "timeout"
	CodeBusy        = "busy"
	CodeDeclined    = "declined"
	CodeCapability  = "capability"
	CodeKind        = "kind"
	CodeNoCode      = "no_code"
)

// The codes that only the REST API has, beside those of system.error.
const (
	CodeBadToken  = "bad_token"   // no API token, or one that is not valid, or no longer
	CodeNotMember = "not_member"  // the token is valid, and its node may not use the hub
	CodeBadMethod = "bad_method"  // the path takes other methods
	CodeBadType   = "bad_type"    // a body that is not application/json
	CodeBadOrigin = "bad_origin"  // a page of another site
	CodeMisdirect = "misdirected" // another host, or no TLS
	CodeHeaders   = "headers_too_long"
	CodeNoSpace   = "no_space" // the hub's disk is full: nothing was stored
	CodeStore     = "store"    // the store takes no more changes until the hub is started again
)

// declineCodes are the codes with which a listener may decline.
var declineCodes = []string{CodeBusy, CodeDeclined, CodeDenied, CodeCapability, CodeKind}

// LimitGuests is the key in [Welcome].Limits that is 1 if the hub takes guests, who may
// claim codes.
const LimitGuests = "guests"

// Challenge (hub, first) proves the hub's key for this connection.
type Challenge struct {
	Hub      identity.ID `json:"hub"`
	Nonce    []byte      `json:"nonce"`
	Proof    []byte      `json:"proof"`
	Software string      `json:"software,omitzero"`
}

// Hello (client, first) is the login. Register and Invite are optional.
type Hello struct {
	Node     identity.ID `json:"node"`
	Binding  []byte      `json:"binding"`
	Sig      []byte      `json:"sig"`
	Instance ID          `json:"instance"`
	Agent    string      `json:"agent,omitzero"`
	Register []Register  `json:"register,omitzero"`
	Invite   *Join       `json:"invite,omitzero"`
	Vouchers []string    `json:"vouchers,omitzero"`
}

// Join is what a login with an invite carries: the public key of the invite's seed and
// its signature of the login (see [Login.SignJoin]).
type Join struct {
	Key identity.ID `json:"key"`
	Sig []byte      `json:"sig"`
}

// Welcome (hub) answers a login that is good. Observed is the client's address, IP:PORT,
// as the hub sees it. Name is the one that the invite of the node was made for, which it
// may register. Registered has an outcome for each of hello.register. ExpiresS is
// absent if the membership has no end.
type Welcome struct {
	Observed     string            `json:"observed,omitzero"`
	MemberSinceS uint32            `json:"member_since_s"`
	PingS        uint32            `json:"ping_s"`
	Limits       map[string]uint32 `json:"limits,omitzero"`
	STUN         []string          `json:"stun,omitzero"`
	Relay        []Relay           `json:"relay,omitzero"`
	Hubs         []string          `json:"hubs,omitzero"`
	Registered   []Registered      `json:"registered,omitzero"`
	Name         string            `json:"name,omitzero"`
	ExpiresS     uint32            `json:"expires_s,omitzero"`
	// Joined answers a login with an invite that carries a voucher.
	Joined *Joined `json:"joined,omitzero"`
}

// Relay is a door of a relay, with the permit to use it in one session. In a [Welcome] it
// has no permit.
type Relay struct {
	URL    string `json:"url"`
	Permit string `json:"permit,omitzero"`
	MaxBPS uint64 `json:"max_bps,omitzero"`
}

// Register (client) asks for a name; without a name it says what kinds this connection
// takes for dialers that ask by node id.
type Register struct {
	Name    string `json:"name,omitzero"`
	Kinds   []Kind `json:"kinds"`
	Lasting bool   `json:"lasting,omitzero"`
}

// Registered (hub) is the outcome of a [Register]: Code is empty if the name is the
// node's. With the code "taken", SinceS says for how long another node has had it, and
// Owner is the short id of that node, to show to a person.
type Registered struct {
	Name   string `json:"name,omitzero"`
	Code   string `json:"code,omitzero"`
	SinceS uint32 `json:"since_s,omitzero"`
	Owner  string `json:"owner,omitzero"`
}

// Release (client) gives a name back. While another connection of the node has registered
// it, the name stays the node's.
type Release struct {
	Name string `json:"name"`
}

// Lookup (client) asks for a peer by name, room/name or node id.
type Lookup struct {
	Peer string `json:"peer"`
}

// Peer (hub) answers a [Lookup]. SinceS counts from the last change of Online.
type Peer struct {
	Node     identity.ID `json:"node"`
	Name     string      `json:"name,omitzero"`
	Online   bool        `json:"online"`
	Kinds    []Kind      `json:"kinds,omitzero"`
	SinceS   uint32      `json:"since_s"`
	Vouchers []string    `json:"vouchers,omitzero"`
}

// Watch (client) asks for an [Online] whenever the peer logs in or registers and then
// takes the kind.
type Watch struct {
	Peer string `json:"peer"`
	Kind Kind   `json:"kind"`
}

// Online (hub) tells the watchers of a node that it takes the kinds now.
type Online struct {
	Node  identity.ID `json:"node"`
	Name  string      `json:"name,omitzero"`
	Kinds []Kind      `json:"kinds"`
}

// NewToken (client) asks for an API token with these scopes, or with all that the node may
// have if it names none. With TTLS it lasts so long, and the hub stores it: for admins
// only. Else it lasts [APITokenLife].
type NewToken struct {
	Scopes []Scope `json:"scopes,omitzero"`
	TTLS   uint32  `json:"ttl_s,omitzero"`
}

// TokenMade (hub) answers a [NewToken]. ID is that of a lasting token, to remove it by.
type TokenMade struct {
	Token    string  `json:"token"`
	Scopes   []Scope `json:"scopes"`
	ExpiresS uint32  `json:"expires_s"`
	ID       string  `json:"id,omitzero"`
}

// GoAway (hub) says that this hub ends. The client reconnects after a random time
// between AfterS and AfterS + SpreadS, which it bounds itself.
type GoAway struct {
	AfterS  uint32   `json:"after_s"`
	SpreadS uint32   `json:"spread_s"`
	Hubs    []string `json:"hubs,omitzero"`
}

// Error (hub) is the answer to an event that failed. Text is for a person. SinceS and
// Owner belong to the code "taken", as in [Registered].
type Error struct {
	Code        string `json:"code"`
	Text        string `json:"text,omitzero"`
	RetryAfterS uint32 `json:"retry_after,omitzero"`
	SinceS      uint32 `json:"since_s,omitzero"`
	Owner       string `json:"owner,omitzero"`
}

func (c *Challenge) check() error {
	return errors.Join(checkKey("hub", c.Hub), checkBytes("nonce", c.Nonce, NonceBytes), checkBytes("proof", c.Proof, SignatureBytes), checkText("software", c.Software, MaxAgentBytes))
}

func (h *Hello) check() error {
	err := errors.Join(checkKey("node", h.Node), checkBytes("binding", h.Binding, BindingBytes), checkBytes("sig", h.Sig, SignatureBytes),
		checkID("instance", h.Instance), checkText("agent", h.Agent, MaxAgentBytes), checkVouchers(h.Vouchers))
	if len(h.Register) > MaxNames {
		return errors.Join(err, fmt.Errorf("register has %d names, the limit is %d", len(h.Register), MaxNames))
	}
	for i := range h.Register {
		err = errors.Join(err, h.Register[i].check())
	}
	if h.Invite != nil {
		err = errors.Join(err, checkKey("invite key", h.Invite.Key), checkBytes("invite sig", h.Invite.Sig, SignatureBytes))
	}
	return err
}

func (w *Welcome) check() error {
	err := errors.Join(checkText("observed", w.Observed, MaxTextBytes), checkText("name", w.Name, MaxTextBytes), checkTexts("hubs", w.Hubs), checkTexts("stun", w.STUN), checkRelays(w.Relay))
	if j := w.Joined; j != nil {
		err = errors.Join(err, checkBytes("joined sig", j.Sig, SignatureBytes))
		if j.Until == 0 || j.Until > maxExpires {
			err = errors.Join(err, errors.New("joined until is no date"))
		}
	}
	if len(w.Registered) > MaxNames || len(w.Limits) > 64 {
		err = errors.Join(err, errors.New("registered or limits is too long"))
	}
	for i := range w.Registered {
		err = errors.Join(err, w.Registered[i].check())
	}
	return err
}

// check leaves the name to the hub, whose answer is "bad_name".
func (r *Register) check() error {
	return errors.Join(checkText("name", r.Name, MaxTextBytes), checkKinds(r.Kinds))
}

func (r *Registered) check() error {
	return errors.Join(checkText("name", r.Name, MaxTextBytes), checkText("code", r.Code, MaxTextBytes), checkText("owner", r.Owner, MaxTextBytes))
}

func (r *Release) check() error { return checkText("name", r.Name, MaxTextBytes) }

func (l *Lookup) check() error { return checkPeer("peer", l.Peer) }

func (p *Peer) check() error {
	return errors.Join(checkKey("node", p.Node), checkText("name", p.Name, MaxTextBytes), checkKinds(p.Kinds), checkVouchers(p.Vouchers))
}

func (w *Watch) check() error {
	return errors.Join(checkPeer("peer", w.Peer), checkKind(w.Kind))
}

func (o *Online) check() error {
	return errors.Join(checkKey("node", o.Node), checkText("name", o.Name, MaxTextBytes), checkKinds(o.Kinds))
}

func (t *NewToken) check() error { return CheckScopes(t.Scopes) }

func (t *TokenMade) check() error {
	if t.Token == "" {
		return errors.New("token is absent")
	}
	return errors.Join(checkText("token", t.Token, MaxTextBytes), checkText("id", t.ID, MaxTextBytes), CheckScopes(t.Scopes))
}

func (g *GoAway) check() error { return checkTexts("hubs", g.Hubs) }

func (e *Error) check() error {
	if e.Code == "" {
		return errors.New("code is absent")
	}
	return errors.Join(checkText("code", e.Code, MaxTextBytes), checkText("text", e.Text, MaxTextBytes), checkText("owner", e.Owner, MaxTextBytes))
}

func checkKey(what string, id identity.ID) error {
	if id == (identity.ID{}) {
		return errors.New(what + " is absent")
	}
	return nil
}

func checkBytes(what string, b []byte, want int) error {
	if len(b) != want {
		return fmt.Errorf("%s has %d bytes, want %d", what, len(b), want)
	}
	return nil
}

// checkTexts bounds a list of addresses that a hub tells.
func checkTexts(what string, list []string) error {
	if len(list) > MaxRelays {
		return fmt.Errorf("%s has %d entries, the limit is %d", what, len(list), MaxRelays)
	}
	for _, s := range list {
		if err := checkText(what, s, MaxTextBytes); err != nil {
			return err
		}
	}
	return nil
}

func checkVouchers(list []string) error {
	if len(list) > MaxVouchers {
		return fmt.Errorf("%d vouchers, the limit is %d", len(list), MaxVouchers)
	}
	for _, s := range list {
		if err := checkText("voucher", s, MaxVoucherBytes); err != nil {
			return err
		}
	}
	return nil
}

func checkRelays(list []Relay) error {
	if len(list) > MaxRelays {
		return fmt.Errorf("relay has %d entries, the limit is %d", len(list), MaxRelays)
	}
	for _, r := range list {
		if err := errors.Join(checkText("relay", r.URL, MaxTextBytes), checkText("permit", r.Permit, 1<<10)); err != nil {
			return err
		}
	}
	return nil
}

// checkKind accepts kinds that this version does not know: the two ends decide.
func checkKind(k Kind) error {
	if k == "" || len(k) > 16 || slices.ContainsFunc([]byte(k), func(c byte) bool { return c < 'a' || c > 'z' }) {
		return errors.New("a kind is a word of up to 16 letters a to z")
	}
	return nil
}

func checkKinds(list []Kind) error {
	if len(list) > 8 {
		return fmt.Errorf("%d kinds, the limit is 8", len(list))
	}
	for _, k := range list {
		if err := checkKind(k); err != nil {
			return err
		}
	}
	return nil
}
