package broker_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

var apiSource = netip.MustParseAddr("192.0.2.77")

// admin returns a key that hub_access makes an admin.
func (w *world) admin() *identity.Key {
	w.t.Helper()
	k := w.member()
	a, err := broker.ParseAccess("admin " + k.ID().String())
	w.ok("access", err)
	w.b.SetAccess(a)
	return k
}

// token asks for an API token.
func (p *peer) token(n hub.NewToken) hub.TokenMade {
	p.w.t.Helper()
	var made hub.TokenMade
	answer := p.ask(hub.TypeToken, &n)
	p.w.ok("token "+outcome(answer), answer.Read(&made))
	return made
}

// Who may have which scopes, and what comes of the token later.
func TestTokenScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, member := w.online(w.admin()), w.online(w.member())
	both := []hub.Scope{hub.ScopeRead, hub.ScopeSelf}
	for _, tt := range []struct {
		who  *peer
		ask  hub.NewToken
		want string // outcome
		got  []hub.Scope
	}{
		{member, hub.NewToken{}, hub.TypeToken, both},
		{member, hub.NewToken{Scopes: both[:1]}, hub.TypeToken, both[:1]},
		{member, hub.NewToken{Scopes: []hub.Scope{hub.ScopeInvite}}, hub.CodeDenied, nil},
		{member, hub.NewToken{Scopes: []hub.Scope{hub.ScopeRead, hub.ScopeAdmin}}, hub.CodeDenied, nil},
		{member, hub.NewToken{TTLS: 60}, hub.CodeDenied, nil},
		{admin, hub.NewToken{}, hub.TypeToken, hub.Scopes},
		{admin, hub.NewToken{Scopes: []hub.Scope{hub.ScopeInvite}, TTLS: 365 * 24 * 3600}, hub.TypeToken, []hub.Scope{hub.ScopeInvite}},
		{admin, hub.NewToken{TTLS: 365*24*3600 + 1}, hub.CodeLimit, nil},
	} {
		answer := tt.who.ask(hub.TypeToken, &tt.ask)
		if got := outcome(answer); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.ask, got, tt.want)
			continue
		}
		var made hub.TokenMade
		if tt.got == nil || answer.Read(&made) != nil {
			continue
		}
		c, err := w.b.Authorize(made.Token, apiSource)
		if err != nil || !slices.Equal(c.Scopes, tt.got) || !slices.Equal(made.Scopes, tt.got) || c.Node != tt.who.key.ID() {
			t.Errorf("%+v: got %+v (%v) and %+v, want %v", tt.ask, c, err, made.Scopes, tt.got)
		}
	}
}

// A token is worth what its node may do at the time of the request.
func TestTokenLater(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what   string
		ttl    uint32
		change func(w *world, admin *identity.Key, id string)
		code   string
		scopes []hub.Scope
	}{
		{"nothing", 0, func(*world, *identity.Key, string) {}, "", hub.Scopes},
		{"10 minutes less a second", 0, func(w *world, _ *identity.Key, _ string) { w.now = w.now.Add(10*time.Minute - time.Second) }, "", hub.Scopes},
		{"10 minutes", 0, func(w *world, _ *identity.Key, _ string) { w.now = w.now.Add(10 * time.Minute) }, hub.CodeBadToken, nil},
		{"lasting: an hour less a second", 3600, func(w *world, _ *identity.Key, _ string) { w.now = w.now.Add(time.Hour - time.Second) }, "", hub.Scopes},
		{"lasting: an hour", 3600, func(w *world, _ *identity.Key, _ string) { w.now = w.now.Add(time.Hour) }, hub.CodeBadToken, nil},
		{"no longer an admin", 0, func(w *world, _ *identity.Key, _ string) { w.b.SetAccess(broker.Access{}) }, "", hub.Scopes[:2]},
		{"lasting: no longer an admin", 3600, func(w *world, _ *identity.Key, _ string) { w.b.SetAccess(broker.Access{}) }, "", hub.Scopes[:2]},
		{"removed", 0, func(w *world, k *identity.Key, _ string) {
			w.b.SetAccess(broker.Access{})
			w.ok("remove", w.b.RemoveMember("admin", k.ID()))
		}, hub.CodeNotMember, nil},
		{"lasting: removed and let in again", 3600, func(w *world, k *identity.Key, _ string) {
			w.b.SetAccess(broker.Access{})
			w.ok("remove", w.b.RemoveMember("admin", k.ID()))
			w.ok("add", w.b.AddMember("admin", k.ID(), time.Time{}))
		}, hub.CodeBadToken, nil},
		{"node banned", 0, func(w *world, k *identity.Key, _ string) { w.ok("ban", w.b.AddBan("admin", k.ID().String())) }, hub.CodeNotMember, nil},
		{"address banned", 0, func(w *world, _ *identity.Key, _ string) { w.ok("ban", w.b.AddBan("admin", "192.0.2.0/24")) }, hub.CodeNotMember, nil},
		{"lasting: taken back", 3600, func(w *world, _ *identity.Key, id string) { w.ok("remove", w.b.RemoveToken("admin", id)) }, hub.CodeBadToken, nil},
		{"restart", 0, func(w *world, k *identity.Key, _ string) { restarted(w, k) }, "", hub.Scopes},
		{"lasting: restart", 3600, func(w *world, k *identity.Key, _ string) { restarted(w, k) }, "", hub.Scopes},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			k := w.admin()
			made := w.online(k).token(hub.NewToken{TTLS: tt.ttl})
			tt.change(w, k, made.ID)
			c, err := w.b.Authorize(made.Token, apiSource)
			if tt.code != "" {
				wantRefused(t, "authorize", err, tt.code)
			} else if err != nil || !slices.Equal(c.Scopes, tt.scopes) {
				t.Errorf("got %v, %v; want %v", c.Scopes, err, tt.scopes)
			}
		})
	}
}

// restarted is the hub with its facts and its access file again.
func restarted(w *world, admin *identity.Key) {
	w.restart()
	a, err := broker.ParseAccess("admin " + admin.ID().String())
	w.ok("access", err)
	w.b.SetAccess(a)
}

// What no hub made is refused, and guessing ends for the source.
func TestTokenForged(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	k := w.admin()
	other.ok("add", other.b.AddMember("admin", k.ID(), time.Time{}))
	good := w.online(k).token(hub.NewToken{}).Token
	kept := w.online(k).token(hub.NewToken{TTLS: 60}).Token
	flip := func(s string, at int) string {
		b := []byte(s)
		b[at] = 'a' + (b[at]-'a'+1)%26
		return string(b)
	}
	for what, text := range map[string]string{
		"nothing": "", "a node id": k.ID().String(), "the prefix": hub.APITokenPrefix,
		"of another hub": other.online(k).token(hub.NewToken{}).Token,
		"another scope":  flip(good, 4), "another end": flip(good, 12), "another node": flip(good, 30), "another MAC": flip(good, 100),
		"cut": good[:len(good)-1], "longer": good + "a", "twice": good + good, "in capitals": "MH1" + good[3:],
		"lasting, another id": flip(kept, 6), "lasting, another secret": flip(kept, 40), "lasting, cut": kept[:len(kept)-1],
	} {
		if _, err := w.b.Authorize(text, apiSource); err == nil {
			t.Errorf("%s: is taken", what)
		} else {
			wantRefused(t, what, err, hub.CodeBadToken)
		}
	}
	if w.b.Blocked(apiSource) {
		t.Fatal("the source is refused too early")
	}
	for range 10 {
		_, _ = w.b.Authorize("x", apiSource)
	}
	if !w.b.Blocked(apiSource) {
		t.Error("a source that guesses is not refused")
	}
}

// A burst of 40, then 10 a second, for all short-lived tokens of a node together and for
// each lasting one.
func TestTokenRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.admin())
	first, second, lasting := p.token(hub.NewToken{}).Token, p.token(hub.NewToken{Scopes: []hub.Scope{hub.ScopeRead}}).Token, p.token(hub.NewToken{TTLS: 60}).Token
	calls := func(text string) (n int, err error) {
		for n = range 200 {
			if _, err = w.b.Authorize(text, apiSource); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	n, err := calls(first)
	later, ok := errors.AsType[*broker.RetryLater](err)
	if n != 40 || !ok || later.After <= 0 || later.After > 100*time.Millisecond {
		t.Errorf("got %d requests and %+v, want 40, and one more in 100 ms", n, later)
	}
	wantRefused(t, "the 41st request", err, hub.CodeRateLimited)
	if n, _ := calls(second); n != 0 {
		t.Errorf("another token of the same node: got %d more requests, want 0", n)
	}
	if n, _ := calls(lasting); n != 40 {
		t.Errorf("a lasting token: got %d requests, want 40", n)
	}
	w.now = w.now.Add(time.Second)
	if n, _ := calls(second); n != 10 {
		t.Errorf("after a second: got %d requests, want 10", n)
	}
}

// Lasting tokens are bounded; those that are over make room.
func TestTokenLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.admin())
	var first string
	for i := range broker.MaxTokens {
		if i%20 == 0 {
			w.passAlive(time.Second, p)
		}
		made := p.token(hub.NewToken{TTLS: 3600 + uint32(i)})
		if i == 0 {
			first = made.ID
		}
	}
	w.passAlive(time.Second, p)
	p.want(hub.CodeLimit, hub.TypeToken, &hub.NewToken{TTLS: 60})
	w.ok("remove", w.b.RemoveToken("admin", first))
	wantRefused(t, "remove again", w.b.RemoveToken("admin", first), hub.CodeNotFound)
	p.want(hub.TypeToken, hub.TypeToken, &hub.NewToken{TTLS: 60})
	p.want(hub.CodeLimit, hub.TypeToken, &hub.NewToken{TTLS: 60})
	w.passAlive(61*time.Second, p)
	p.want(hub.TypeToken, hub.TypeToken, &hub.NewToken{TTLS: 60})
	if got, _ := w.b.Tokens(everything); len(got) != broker.MaxTokens || got[0].Hash != nil {
		t.Errorf("got %d tokens, want %d, and no hash (%x)", len(got), broker.MaxTokens, got[0].Hash)
	}
}

// No secret of a token is stored.
func TestTokenStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.online(w.admin()).token(hub.NewToken{TTLS: 60})
	parsed, err := hub.ParseAPIToken(made.Token)
	w.ok("parse", err)
	if got := fmt.Sprint(parsed, made.ID); got != "API token"+made.ID && got != "API token "+made.ID {
		t.Errorf("a token prints as %q", got)
	}
	stored := string(w.store.facts["token/"+made.ID])
	if stored == "" {
		t.Fatal("the token is not stored")
	}
	for _, secret := range []string{made.Token[20:40], fmt.Sprintf("%x", parsed.Secret)[:20]} {
		if strings.Contains(stored, secret) {
			t.Errorf("%s is stored: %s", secret, stored)
		}
	}
}
