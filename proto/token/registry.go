package token

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/wire"
)

// Credential is a dialer's means of authentication.
type Credential struct {
	// Method and Public are sent in P2P_HELLO.
	Method string
	Public []byte
	// Secret is never sent. It is nil for [wire.MethodKey].
	Secret []byte
}

// KeyCredential returns the credential of a node whose key the listener has in
// its authorized_peers.
func KeyCredential() Credential { return Credential{Method: wire.MethodKey} }

// Credential returns the credential of the bearer of t.
func (t Token) Credential() Credential {
	if t.Signed {
		return Credential{wire.MethodCapability, t.encode(), t.secret}
	}
	return Credential{wire.MethodToken, t.ID[:], t.secret}
}

// Admission is what a listener knows about a credential before the dialer has
// proven that it has the secret.
type Admission struct {
	Secret []byte
	Caps   proto.Caps
	// Token is the token's id; nil for an authorised key.
	Token *ID
	// Claim counts the dialer as a user of a token whose uses are counted. Call
	// it once the proof is verified. It fails if other nodes have taken all uses;
	// a node that has one may claim again. nil means that uses are not counted.
	Claim func() error
	// Claimable returns the error of Claim, and counts nothing. It is nil if Claim is.
	Claimable func() error
}

// Registry answers a listener's questions about credentials. It knows the
// session tokens that this process has issued, the node's signed capabilities,
// the revoked tokens and the authorised peers. Its methods may be called from
// several goroutines.
type Registry struct {
	key     *identity.Key
	book    identity.Book
	issued  issuedTokens
	revoked revokedTokens
	reasons reasons
}

// errDenied is all that the dialer is told.
var errDenied = proto.Errorf(proto.Denied, "denied")

// NewRegistry returns the registry of a node whose state is in book's folder.
func NewRegistry(key *identity.Key, book identity.Book) *Registry {
	return &Registry{
		key: key, book: book,
		revoked: revokedTokens{path: filepath.Join(book.Dir, RevokedFile)},
	}
}

// Issue makes a session token. With a ttl of 0 it never expires but is lost
// when the process ends; with uses 0 any number of nodes may use it.
func (r *Registry) Issue(caps proto.Caps, ttl time.Duration, uses uint16, addrs []string) (Token, error) {
	return r.issue(caps, ttl, uses, identity.ID{}, addrs)
}

// IssueTo makes a session token that holder alone may use, for a ttl above 0. It
// has no addresses: the caller tells the holder by other means where to dial.
func (r *Registry) IssueTo(holder identity.ID, caps proto.Caps, ttl time.Duration) (Token, error) {
	if holder == (identity.ID{}) || ttl <= 0 {
		return Token{}, errors.New("a token for one node needs a holder and a life")
	}
	return r.issue(caps, ttl, 1, holder, nil)
}

func (r *Registry) issue(caps proto.Caps, ttl time.Duration, uses uint16, holder identity.ID, addrs []string) (Token, error) {
	t, err := newSessionToken(r.key.ID(), caps, ttl, uses, holder, addrs)
	if err != nil {
		return Token{}, err
	}
	r.issued.add(t, time.Now())
	return t, nil
}

// Cancel takes back a session token that this process has issued: from now on no
// node is admitted with it. It writes no file and does not end a link that the
// token has already admitted; [Revoke] does both.
func (r *Registry) Cancel(id ID) { r.issued.remove(id) }

// Find returns what the registry knows about the credential in h, which dialer
// has named but not yet proven to have. An error with code [proto.Denied] is for
// the listener's own log: it may say more than the dialer may learn. Other errors
// report a file of the registry that can't be read.
func (r *Registry) Find(h *wire.Hello, dialer identity.ID) (Admission, error) {
	switch h.Method {
	case wire.MethodKey:
		caps, err := r.book.Authorized(dialer)
		if err == nil && caps == 0 {
			err = fmt.Errorf("%w: key is not in %s", errDenied, identity.AuthorizedPeersFile)
		}
		return Admission{Caps: caps}, err
	case wire.MethodToken, wire.MethodCapability:
		if _, err := r.revoked.has(ID{}); err != nil { // says nothing about the token
			return Admission{}, err
		}
		if h.Method == wire.MethodToken {
			return r.findIssued(h.Token, dialer)
		}
		return r.findCapability(h.Token, dialer)
	}
	return Admission{}, fmt.Errorf("%w: unknown method", errDenied)
}

func (r *Registry) findIssued(public []byte, dialer identity.ID) (Admission, error) {
	if len(public) != len(ID{}) {
		return Admission{}, fmt.Errorf("%w: not a token id", errDenied)
	}
	t, ok := r.issued.find(ID(public), time.Now())
	if !ok {
		return Admission{}, fmt.Errorf("%w: no such token", errDenied)
	}
	return r.admission(t, dialer, func(count bool) error { return r.issued.claim(t.ID, dialer, count) })
}

func (r *Registry) findCapability(public []byte, dialer identity.ID) (Admission, error) {
	c, rest, err := parseClaims(public)
	if err != nil || len(rest) > 0 || !c.Signed || c.Listener != r.key.ID() || !bytes.Equal(c.encode(), public) {
		return Admission{}, fmt.Errorf("%w: not a capability of this node", errDenied)
	}
	t := Token{Claims: c, secret: capabilitySecret(r.key, c)}
	path := filepath.Join(r.book.Dir, ClaimedFile)
	return r.admission(t, dialer, func(count bool) error {
		if !count {
			return capabilityClaimable(path, c, dialer)
		}
		return claimCapability(path, c, dialer)
	})
}

// admission makes the checks that do not need the proof. claim says whether the dialer may
// use the token, and with count, counts it as a user.
func (r *Registry) admission(t Token, dialer identity.ID, claim func(count bool) error) (Admission, error) {
	switch {
	case t.Expired(time.Now()):
		return Admission{}, fmt.Errorf("%w: %s has expired", errDenied, t)
	case t.Holder != (identity.ID{}) && t.Holder != dialer:
		return Admission{}, fmt.Errorf("%w: %s is for another node", errDenied, t)
	case r.Revoked(t.ID):
		return Admission{}, fmt.Errorf("%w: %s is revoked", errDenied, t)
	}
	if err := r.checkReason(t.ID); err != nil {
		return Admission{}, err
	}
	if t.Uses == 0 {
		claim = func(bool) error { return nil }
	}
	return Admission{
		Secret: t.secret, Caps: t.Caps, Token: &t.ID,
		Claim: func() error { return claim(true) }, Claimable: func() error { return claim(false) },
	}, nil
}

// addClaim adds dialer to the nodes that have claimed a token with the given
// number of uses. A node that has claimed the token before takes no second use.
func addClaim(claims []identity.ID, dialer identity.ID, uses uint16) ([]identity.ID, error) {
	if slices.Contains(claims, dialer) {
		return claims, nil
	}
	if len(claims) >= int(uses) {
		return claims, fmt.Errorf("%w: the token is used up", errDenied)
	}
	return append(claims, dialer), nil
}

// CheckAccess returns why a dialer that was admitted must be disconnected, or nil:
// with code [proto.Denied] if the token that it came with is revoked or its [Reason] is
// gone, or, if id is nil, its key is no longer in authorized_peers with everything that was granted; with
// another code if the list of revoked tokens can't be read. An unreadable
// authorized_peers, and a process without a free file descriptor, revoke nothing; they
// admit nobody either.
func (r *Registry) CheckAccess(dialer identity.ID, id *ID, granted proto.Caps) error {
	if id == nil {
		caps, err := r.book.Authorized(dialer)
		if err == nil && !caps.Has(granted) {
			return proto.Errorf(proto.Denied, "the key is revoked")
		}
		return nil
	}
	revoked, err := r.revoked.has(*id)
	switch {
	case revoked:
		return proto.Errorf(proto.Denied, "token %s is revoked", id)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return nil
	case err == nil:
		return r.checkReason(*id)
	}
	return err
}

// Revoked reports whether the token with the given id is revoked. It reads the
// file again when its size or time has changed. A file that exists but can't be
// read revokes every token, since nobody knows which ones it lists.
func (r *Registry) Revoked(id ID) bool {
	revoked, err := r.revoked.has(id)
	return revoked || err != nil
}

// maxListBytes bounds the files of the registry.
const maxListBytes = 16 << 20
