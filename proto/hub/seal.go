package hub

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/identity"
)

// sessionInfo begins the info of the HPKE context of a session.
const sessionInfo = "mesh-hub/1 session"

// encBytes is the length of the encapsulated key before a sealed grant.
const encBytes = 1088 + 32

// The methods of a [Grant] without a token.
const (
	MethodKey    = "key"    // the dialer's key is in authorized_peers
	MethodKnown  = "known"  // the dialer has a token
	MethodResume = "resume" // the dialer continues a transfer
)

// Grant is what a listener seals for a dialer: a token, or the method without one, and
// how to reach it. Caps is what it allows, Via the transports that it takes.
type Grant struct {
	Token  string `json:"token,omitzero"`
	Method string `json:"method,omitzero"`
	Caps   string `json:"caps,omitzero"`
	Via    string `json:"via,omitzero"`
	Meeting
}

// Meeting is how to reach an end: its candidates, and in words what is known of its NAT.
type Meeting struct {
	NAT        string      `json:"nat,omitzero"`
	Candidates []Candidate `json:"candidates,omitzero"`
	// Hosts are further HOST:PORTs, for the address book of a node that this one pairs
	// with. The reader checks them before it dials one.
	Hosts []string `json:"hosts,omitzero"`
}

// Candidate is a [candidate.Candidate] in the JSON of this protocol.
type Candidate struct {
	Type     candidate.Type  `json:"type"`
	Proto    candidate.Proto `json:"proto"`
	Addr     string          `json:"addr"`
	Priority uint32          `json:"priority"`
}

// SealKey is the dialer's HPKE key pair of one request.
type SealKey struct{ private hpke.PrivateKey }

// NewSealKey makes a key pair.
func NewSealKey() (*SealKey, error) {
	k, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make session key: %w", err)
	}
	return &SealKey{k}, nil
}

// Public returns the public half, for [Request.Seal].
func (k *SealKey) Public() []byte { return k.private.PublicKey().Bytes() }

// Keys are the keys that both ends of a session share and the hub does not have. Dialer
// and Listener seal the candidates of that end; the punch keys are for the checks of
// connectivity.
type Keys struct {
	Session                                      ID
	Dialer, Listener, PunchDialer, PunchListener [32]byte
}

// exporter is the part of an HPKE context that both ends have.
type exporter interface {
	Export(context string, length int) ([]byte, error)
}

func exportKeys(session ID, e exporter) (*Keys, error) {
	k := &Keys{Session: session}
	for label, key := range map[string]*[32]byte{
		"dialer": &k.Dialer, "listener": &k.Listener, "punch dialer": &k.PunchDialer, "punch listener": &k.PunchListener,
	} {
		b, err := e.Export(label, len(key))
		if err != nil {
			return nil, fmt.Errorf("export session key: %w", err)
		}
		copy(key[:], b)
	}
	return k, nil
}

// Punch returns the keys of the connectivity checks of the end with the role: its own, which
// its requests and the answers to them are under, and that of the other end.
func (k *Keys) Punch(role string) (own, peer [32]byte) {
	if role == RoleDialer {
		return k.PunchDialer, k.PunchListener
	}
	return k.PunchListener, k.PunchDialer
}

func infoOf(session ID, dialer, listener identity.ID) []byte {
	b := append([]byte(sessionInfo), session[:]...)
	return append(append(b, dialer[:]...), listener[:]...)
}

// Accept makes the listener's answer to a request: the grant, sealed and signed, and the
// keys of the session. The caller has checked the request's signature.
func (r *Request) Accept(listener *identity.Key, hub, dialer identity.ID, g Grant) (*Accept, *Keys, error) {
	text, err := g.encode()
	if err != nil {
		return nil, nil, err
	}
	pub, err := hpke.MLKEM768X25519().NewPublicKey(r.Seal)
	if err != nil {
		return nil, nil, proto.Errorf(proto.Protocol, "session request: its key is malformed")
	}
	enc, sender, err := hpke.NewSender(pub, hpke.HKDFSHA256(), hpke.AES256GCM(), infoOf(r.Session, dialer, listener.ID()))
	if err != nil {
		return nil, nil, fmt.Errorf("seal session: %w", err)
	}
	box, err := sender.Seal(nil, text)
	if err != nil {
		return nil, nil, fmt.Errorf("seal session: %w", err)
	}
	keys, err := exportKeys(r.Session, sender)
	if err != nil {
		return nil, nil, err
	}
	a := &Accept{Session: r.Session, Sealed: append(enc, box...)}
	if err := checkSealed(a.Sealed); err != nil {
		return nil, nil, err
	}
	a.Sig = listener.Sign(acceptText(hub, r.Session, dialer, r.Sig, a.Sealed))
	return a, keys, nil
}

// Open checks that the listener signed the answer to this request, and opens it. The
// listener is the node that the dialer holds the peer for: Created.Peer is only the hub's
// word. A wrong signature has code [proto.Identity], a grant that can't be opened or
// read [proto.Protocol].
func (r *Request) Open(key *SealKey, hub, dialer, listener identity.ID, c *Created) (Grant, *Keys, error) {
	if c.Session != r.Session || !verify(listener, c.Sig, acceptText(hub, r.Session, dialer, r.Sig, c.SessionToken)) {
		return Grant{}, nil, proto.Errorf(proto.Identity, "the answer to the session request is not signed by %s", listener.Short())
	}
	bad := proto.Errorf(proto.Protocol, "the answer to the session request can't be opened")
	if len(c.SessionToken) <= encBytes {
		return Grant{}, nil, bad
	}
	to, err := hpke.NewRecipient(c.SessionToken[:encBytes], key.private, hpke.HKDFSHA256(), hpke.AES256GCM(), infoOf(r.Session, dialer, listener))
	if err != nil {
		return Grant{}, nil, bad
	}
	text, err := to.Open(nil, c.SessionToken[encBytes:])
	if err != nil {
		return Grant{}, nil, bad
	}
	g, err := decodeGrant(text)
	if err != nil {
		return Grant{}, nil, &proto.Error{Code: proto.Protocol, Err: err}
	}
	keys, err := exportKeys(r.Session, to)
	return g, keys, err
}

// SealMeeting seals a generation of candidates with the key of the end that sends it.
// One gen may be sealed for one meeting only: the nonce is made of it.
func (k *Keys) SealMeeting(role string, gen uint64, m Meeting) (*Candidates, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	aead, err := k.aead(role)
	if err != nil {
		return nil, err
	}
	return &Candidates{Session: k.Session, Gen: gen, Sealed: aead.Seal(nil, genNonce(gen), text, k.Session[:])}, nil
}

// OpenMeeting opens the candidates that the end with the given role has sent.
func (k *Keys) OpenMeeting(role string, c *Candidates) (Meeting, error) {
	var m Meeting
	aead, err := k.aead(role)
	if err != nil {
		return m, err
	}
	text, err := aead.Open(nil, genNonce(c.Gen), c.Sealed, k.Session[:])
	if err != nil || c.Session != k.Session {
		return m, proto.Errorf(proto.Protocol, "candidates of the session can't be opened")
	}
	if deeper(text, MaxDepth) || json.Unmarshal(text, &m) != nil {
		return Meeting{}, proto.Errorf(proto.Protocol, "candidates of the session are malformed")
	}
	if err := m.check(); err != nil {
		return Meeting{}, &proto.Error{Code: proto.Protocol, Err: err}
	}
	return m, nil
}

func (k *Keys) aead(role string) (cipher.AEAD, error) {
	key := k.Listener
	if role == RoleDialer {
		key = k.Dialer
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func genNonce(gen uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 4), gen) }

func (g *Grant) encode() ([]byte, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return json.Marshal(g)
}

func decodeGrant(text []byte) (Grant, error) {
	var g Grant
	if deeper(text, MaxDepth) || json.Unmarshal(text, &g) != nil {
		return Grant{}, errors.New("the grant of the session is malformed")
	}
	if err := g.check(); err != nil {
		return Grant{}, err
	}
	return g, nil
}

func (g *Grant) check() error {
	switch {
	case (g.Token == "") == (g.Method == ""):
		return errors.New("grant: want a token or a method")
	case g.Method != "" && g.Method != MethodKey && g.Method != MethodKnown && g.Method != MethodResume:
		return errors.New("grant: unknown method")
	}
	return errors.Join(checkText("token", g.Token, 2<<10), checkText("caps", g.Caps, MaxTextBytes), checkText("via", g.Via, MaxTextBytes), g.Meeting.check())
}

func (m *Meeting) check() error {
	if len(m.Candidates) > MaxCandidates {
		return fmt.Errorf("%d candidates, the limit is %d", len(m.Candidates), MaxCandidates)
	}
	for _, c := range m.Candidates {
		if _, err := candidate.Parse(candidate.Candidate(c).String()); err != nil {
			return err
		}
	}
	if len(m.Hosts) > identity.MaxAddrs {
		return fmt.Errorf("%d hosts, the limit is %d", len(m.Hosts), identity.MaxAddrs)
	}
	for _, host := range m.Hosts {
		if err := identity.CheckAddr(host); err != nil {
			return err
		}
	}
	return checkText("nat", m.NAT, MaxTextBytes)
}
