package broker

import (
	"crypto/subtle"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Token is a lasting API token. The hub has no more of its secret than a hash.
type Token struct {
	ID      string      `json:"id"`
	Hash    []byte      `json:"hash,omitzero"`
	Node    identity.ID `json:"node"`
	Scopes  []hub.Scope `json:"scopes"`
	Made    time.Time   `json:"made"`
	Expires time.Time   `json:"expires"`
}

func tokenKey(id string) string { return "token/" + id }

// Caller is the sender of a request to the API: a node, or with the zero Node the owner
// of the hub's own socket.
type Caller struct {
	Node   identity.ID
	Scopes []hub.Scope
}

// By returns what the log says of the caller.
func (c Caller) By() string {
	if c.Node == (identity.ID{}) {
		return "admin"
	}
	return c.Node.String()
}

// RetryLater is a refusal that ends by itself, After from now.
type RetryLater struct {
	Err   error
	After time.Duration
}

// Error returns the text of the refusal.
func (r *RetryLater) Error() string { return r.Err.Error() }

// Unwrap returns the refusal.
func (r *RetryLater) Unwrap() error { return r.Err }

// rights returns the scopes that a node may have now: none if it may not log in.
func (b *Broker) rights(node identity.ID, from netip.Addr, now time.Time) []hub.Scope {
	switch {
	case !b.isMember(node, now) || b.removed(node) || b.banned(node, from):
		return nil
	case b.access.admins[node]:
		return hub.Scopes
	}
	return []hub.Scope{hub.ScopeRead, hub.ScopeSelf}
}

// allowed returns those of the wanted scopes that the rights contain.
func allowed(want, rights []hub.Scope) []hub.Scope {
	var out []hub.Scope
	for _, s := range want {
		if slices.Contains(rights, s) {
			out = append(out, s)
		}
	}
	return out
}

// makeToken answers system.token.
func (b *Broker) makeToken(c *client, e hub.Event) (hub.Event, error) {
	var n hub.NewToken
	if err := read(e, &n); err != nil {
		return hub.Event{}, err
	}
	if len(b.o.APIKey) == 0 {
		return hub.Event{}, refuse(hub.CodeUnsupported, "this hub has no API")
	}
	b.mu.Lock()
	now := b.o.Now()
	rights := b.rights(c.node, netip.Addr{}, now)
	b.mu.Unlock()
	scopes := n.Scopes
	if len(scopes) == 0 {
		scopes = rights
	}
	if len(rights) == 0 || len(allowed(scopes, rights)) != len(scopes) {
		return hub.Event{}, refuse(hub.CodeDenied, "this node may not have these scopes")
	}
	if n.TTLS > 0 {
		return b.makeLasting(c.node, scopes, time.Duration(n.TTLS)*time.Second, rights)
	}
	t := hub.APIToken{Scopes: scopes, Node: c.node, Expires: now.Add(hub.APITokenLife)}
	return hub.New(hub.TypeToken, &hub.TokenMade{Token: t.Encode(b.o.APIKey), Scopes: scopes, ExpiresS: seconds(hub.APITokenLife)})
}

// makeLasting makes a token that the hub stores.
func (b *Broker) makeLasting(node identity.ID, scopes []hub.Scope, life time.Duration, rights []hub.Scope) (hub.Event, error) {
	switch {
	case !slices.Contains(rights, hub.ScopeAdmin):
		return hub.Event{}, refuse(hub.CodeDenied, "only an admin can have a lasting API token")
	case life > hub.MaxAPITokenLife:
		return hub.Event{}, refuse(hub.CodeLimit, "an API token lasts up to %d days", hub.MaxAPITokenLife/(24*time.Hour))
	}
	text := hub.NewLastingToken()
	var t Token
	var over []string
	err := b.change(func() (Entry, []Fact, error) {
		now := b.o.Now().UTC()
		facts := []Fact(nil)
		for id, old := range b.facts.tokens {
			if !now.Before(old.Expires) {
				facts, over = append(facts, Fact{Key: tokenKey(id)}), append(over, id)
			}
		}
		if len(b.facts.tokens)-len(over) >= MaxTokens {
			return Entry{}, nil, refuse(hub.CodeLimit, "the hub has %d lasting API tokens", MaxTokens)
		}
		t = Token{text.IDText(), text.Hash(), node, scopes, now, now.Add(life)}
		f, err := fact(tokenKey(t.ID), t)
		return Entry{By: node.String(), Op: "api token", What: t.ID}, append(facts, f), err
	}, func() {
		for _, id := range over {
			delete(b.facts.tokens, id)
		}
		b.facts.tokens[t.ID] = &t
	})
	if err != nil {
		return hub.Event{}, err
	}
	return hub.New(hub.TypeToken, &hub.TokenMade{Token: text.Encode(nil), Scopes: scopes, ExpiresS: seconds(life), ID: t.ID})
}

// errBadToken is the one answer to tokens that are not valid.
func errBadToken() error {
	return refuse(hub.CodeBadToken, "the API token is not valid, or no longer: mesh-hub api-token prints one")
}

// Authorize returns who has made a request with an API token, and what the node may do
// now. A token that no hub made counts as a failed login of its source.
func (b *Broker) Authorize(text string, from netip.Addr) (Caller, error) {
	t, err := hub.ParseAPIToken(text)
	if err == nil && !t.Lasting && !t.Verify(b.o.APIKey) {
		err = errBadToken()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Now()
	key := t.Node.String()
	if err == nil && t.Lasting {
		key = t.IDText()
		t, err = b.lasting(t)
	}
	switch {
	case err != nil:
		b.countFailed(from, now)
		return Caller{}, errBadToken()
	case !now.Before(t.Expires):
		return Caller{}, errBadToken()
	case !b.apiCalls.take(now, key):
		b.count(CountRateLimited, "api")
		limited := refuse(hub.CodeRateLimited, "more than 10 requests a second")
		return Caller{}, &RetryLater{limited, b.apiCalls.wait(key)}
	}
	rights := b.rights(t.Node, from, now)
	if len(rights) == 0 {
		return Caller{}, refuse(hub.CodeNotMember, "the node of this API token is not a member of this hub")
	}
	return Caller{t.Node, allowed(t.Scopes, rights)}, nil
}

// lasting returns what the hub has stored of a lasting token.
func (b *Broker) lasting(t hub.APIToken) (hub.APIToken, error) {
	have := b.facts.tokens[t.IDText()]
	if have == nil || subtle.ConstantTimeCompare(have.Hash, t.Hash()) != 1 {
		return t, errors.New("no such token")
	}
	return hub.APIToken{Node: have.Node, Scopes: have.Scopes, Expires: have.Expires}, nil
}

// RemoveToken ends a lasting API token.
func (b *Broker) RemoveToken(by, id string) error {
	return b.change(func() (Entry, []Fact, error) {
		if b.facts.tokens[id] == nil {
			return Entry{}, nil, refuse(hub.CodeNotFound, "no such API token")
		}
		return Entry{By: by, Op: "api token removed", What: id}, []Fact{{Key: tokenKey(id)}}, nil
	}, func() { delete(b.facts.tokens, id) })
}

// tokensOf returns the ids of a node's lasting tokens.
func (b *Broker) tokensOf(node identity.ID) []string {
	var ids []string
	for id, t := range b.facts.tokens {
		if t.Node == node {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, strings.Compare)
	return ids
}

// checkToken returns an error unless the fact is one that a hub stores.
func checkToken(t *Token) error {
	if len(t.Hash) == 0 || len(t.Scopes) == 0 {
		return errors.New("hash or scopes are absent")
	}
	return hub.CheckScopes(t.Scopes)
}
