package token

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/wire"
)

// The registry's files in the state folder. Lines of both begin with a token's
// id.
const (
	// RevokedFile lists revoked tokens, one id a line; "#" begins a comment.
	RevokedFile = "revoked_tokens"
	// ClaimedFile has lines "ID NODEID EXPIRES": who used a signed capability
	// whose uses are counted. Expired lines go when a line is added.
	ClaimedFile = "claimed_tokens"
)

// Credential is what a dialer proves itself with.
type Credential struct {
	// Method and Public go into P2P_HELLO.
	Method string
	Public []byte
	// Secret does not; it is nil for [wire.MethodKey].
	Secret []byte
}

// KeyCredential is the credential of a node that the listener has in its
// authorized_peers.
func KeyCredential() Credential { return Credential{Method: wire.MethodKey} }

// Credential returns what the bearer of t proves itself with.
func (t Token) Credential() Credential {
	if t.Signed {
		return Credential{wire.MethodCapability, t.encode(), t.secret}
	}
	return Credential{wire.MethodToken, t.ID[:], t.secret}
}

// Admission is what a listener knows of a credential before the proof.
type Admission struct {
	Secret []byte
	Caps   proto.Caps
	// Token is the token's id; nil for an authorised key.
	Token *ID
	// Claim binds a token whose uses are counted to the dialer. It is called
	// after a right proof, and fails when all uses are taken by others.
	Claim func() error
}

// Registry is the listener's side of tokens: those that this process gave out,
// and the node's capabilities, revocations and authorised peers. It may be used
// by many goroutines.
type Registry struct {
	key  *identity.Key
	book identity.Book

	mu       sync.Mutex
	sessions map[ID]*session

	revokedMu   sync.Mutex
	revoked     map[ID]bool
	revokedStat fs.FileInfo
}

// session is a session token and the nodes that have claimed it.
type session struct {
	token  Token
	claims []identity.ID
}

// errDenied is all that a dialer may learn.
var errDenied = proto.Errorf(proto.Denied, "denied")

// NewRegistry returns the registry of a node whose state is in book's folder.
func NewRegistry(key *identity.Key, book identity.Book) *Registry {
	return &Registry{key: key, book: book, sessions: make(map[ID]*session)}
}

// Issue makes a session token. A ttl of 0 means that it lives as long as the
// process, uses of 0 that any number of nodes may use it.
func (r *Registry) Issue(caps proto.Caps, ttl time.Duration, uses uint16, addrs []string) (Token, error) {
	c, err := newClaims(r.key.ID(), caps, ttl, uses)
	if err != nil {
		return Token{}, err
	}
	t := Token{Claims: c, Addrs: addrs, secret: make([]byte, secretBytes)}
	if _, err := rand.Read(t.secret); err != nil {
		return Token{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[t.ID] = &session{token: t}
	return t, nil
}

// Find returns what is known of the credential in h, which dialer has shown but
// not yet proven. An error has code [proto.Denied] and is for our log only, or
// says that a file of the registry can't be read.
func (r *Registry) Find(h *wire.Hello, dialer identity.ID) (Admission, error) {
	switch h.Method {
	case wire.MethodKey:
		caps, err := r.book.Authorized(dialer)
		if err == nil && caps == 0 {
			err = fmt.Errorf("%w: key is not in %s", errDenied, identity.AuthorizedPeersFile)
		}
		return Admission{Caps: caps}, err
	case wire.MethodToken:
		return r.findSession(h.Token, dialer)
	case wire.MethodCapability:
		return r.findCapability(h.Token, dialer)
	}
	return Admission{}, fmt.Errorf("%w: unknown method", errDenied)
}

func (r *Registry) findSession(public []byte, dialer identity.ID) (Admission, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s *session
	if len(public) == len(ID{}) {
		s = r.sessions[ID(public)]
	}
	if s == nil {
		return Admission{}, fmt.Errorf("%w: no such token", errDenied)
	}
	return r.admission(s.token, dialer, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		claims, err := claim(s.claims, dialer, s.token.Uses)
		s.claims = claims
		return err
	})
}

func (r *Registry) findCapability(public []byte, dialer identity.ID) (Admission, error) {
	c, rest, err := parseClaims(public)
	if err != nil || len(rest) > 0 || !c.Signed || c.Listener != r.key.ID() || !bytes.Equal(c.encode(), public) {
		return Admission{}, fmt.Errorf("%w: not a capability of this node", errDenied)
	}
	return r.admission(Token{Claims: c, secret: capabilitySecret(r.key, c)}, dialer, func() error {
		return r.claimCapability(c, dialer)
	})
}

// admission checks what does not depend on the proof.
func (r *Registry) admission(t Token, dialer identity.ID, claim func() error) (Admission, error) {
	switch {
	case t.Expired(time.Now()):
		return Admission{}, fmt.Errorf("%w: %s has expired", errDenied, t)
	case t.Holder != (identity.ID{}) && t.Holder != dialer:
		return Admission{}, fmt.Errorf("%w: %s is for another node", errDenied, t)
	case r.Revoked(t.ID):
		return Admission{}, fmt.Errorf("%w: %s is revoked", errDenied, t)
	}
	if t.Uses == 0 {
		claim = func() error { return nil }
	}
	return Admission{Secret: t.secret, Caps: t.Caps, Token: &t.ID, Claim: claim}, nil
}

// claim adds dialer to those who use a token that has the given uses, unless it
// is there already.
func claim(claims []identity.ID, dialer identity.ID, uses uint16) ([]identity.ID, error) {
	if slices.Contains(claims, dialer) {
		return claims, nil
	}
	if len(claims) >= int(uses) {
		return claims, fmt.Errorf("%w: the token is used up", errDenied)
	}
	return append(claims, dialer), nil
}

// claimCapability keeps claims in a file, since a capability outlives a process.
func (r *Registry) claimCapability(c Claims, dialer identity.ID) error {
	return edit(filepath.Join(r.book.Dir, ClaimedFile), func(old []byte) ([]byte, error) {
		var claims []identity.ID
		var out bytes.Buffer
		for line := range strings.Lines(string(old)) {
			words := strings.Fields(line)
			if len(words) != 3 {
				continue
			}
			if at, err := strconv.ParseInt(words[2], 10, 64); err != nil || at != 0 && at <= time.Now().Unix() {
				continue
			}
			out.WriteString(strings.TrimSuffix(line, "\n") + "\n")
			if id, err := identity.ParseID(words[1]); err == nil && words[0] == c.ID.String() {
				claims = append(claims, id)
			}
		}
		now, err := claim(claims, dialer, c.Uses)
		if err != nil || len(now) == len(claims) {
			return old, err
		}
		var expires int64
		if !c.Expires.IsZero() {
			expires = c.Expires.Unix()
		}
		fmt.Fprintf(&out, "%s %s %d\n", c.ID, dialer, expires)
		return out.Bytes(), nil
	})
}

// Revoke makes the token with the given id worthless to every listener of the
// node whose state is in dir. A running listener notices within seconds.
func Revoke(dir string, id ID) error {
	return edit(filepath.Join(dir, RevokedFile), func(old []byte) ([]byte, error) {
		for line := range strings.Lines(string(old)) {
			if revokedIn(line) == id.String() {
				return old, nil
			}
		}
		out := bytes.Clone(old)
		if len(out) > 0 && out[len(out)-1] != '\n' { // an editor left it out
			out = append(out, '\n')
		}
		return append(out, id.String()+"\n"...), nil
	})
}

// revokedIn returns the id that a line revokes, or what stands in its place.
func revokedIn(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(line)
}

// AccessRevoked reports whether a dialer that was granted something must go again:
// its token, if it came with one, is revoked, or its key has been taken off the
// authorised peers or may less. A list of those that can't be read takes
// nothing away; it lets nobody in either.
func (r *Registry) AccessRevoked(dialer identity.ID, id *ID, granted proto.Caps) bool {
	if id != nil {
		return r.Revoked(*id)
	}
	caps, err := r.book.Authorized(dialer)
	return err == nil && !caps.Has(granted)
}

// Revoked reports whether the token with the given id is revoked. It looks at
// the file again when that has changed; a file that can't be read revokes
// every token, since what it would say is not known.
func (r *Registry) Revoked(id ID) bool {
	r.revokedMu.Lock()
	defer r.revokedMu.Unlock()
	path := filepath.Join(r.book.Dir, RevokedFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil || !info.Mode().IsRegular() { // reading a FIFO would wait for its writer
		return true
	}
	if r.revokedStat == nil || info.Size() != r.revokedStat.Size() || !info.ModTime().Equal(r.revokedStat.ModTime()) {
		text, err := lockedfile.Read(path)
		if err != nil {
			return true
		}
		r.revoked = make(map[ID]bool)
		for line := range strings.Lines(string(text)) {
			if id, err := ParseID(revokedIn(line)); err == nil {
				r.revoked[id] = true
			}
		}
		r.revokedStat = info
	}
	return r.revoked[id]
}

// edit transforms a file of the registry, one process at a time.
func edit(path string, f func(old []byte) ([]byte, error)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &proto.Error{Code: proto.Config, Err: err}
	}
	err := lockedfile.Transform(path, f)
	if _, ok := errors.AsType[*proto.Error](err); err != nil && !ok {
		return &proto.Error{Code: proto.Config, Err: err}
	}
	return err
}
