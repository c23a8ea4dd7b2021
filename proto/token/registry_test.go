package token_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// once returns a session token and a capability of r that one node may use.
func once(t *testing.T, r *token.Registry, key *identity.Key) map[string]token.Token {
	t.Helper()
	session, err := r.Issue(proto.CapSend, time.Hour, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	capability, err := token.NewCapability(key, proto.CapSend, time.Hour, 1, identity.ID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]token.Token{"session": session, "capability": capability}
}

func claimFor(r *token.Registry, tok token.Token, who identity.ID) error {
	a, err := r.Find(hello(tok), who)
	if err != nil {
		return err
	}
	return a.Claim()
}

func TestOneUse(t *testing.T) {
	t.Parallel()
	r, key, book := newRegistry(t)
	for kind, tok := range once(t, r, key) {
		first, second := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
		xtest.WantCode(t, kind+": first node", claimFor(r, tok, first), proto.OK)
		xtest.WantCode(t, kind+": second node", claimFor(r, tok, second), proto.Denied)
		xtest.WantCode(t, kind+": first node again", claimFor(r, tok, first), proto.OK)
		restarted := proto.OK
		if kind == "session" { // which dies with its process
			restarted = proto.Denied
		}
		again := token.NewRegistry(key, book)
		xtest.WantCode(t, kind+": second node after a restart", claimFor(again, tok, second), proto.Denied)
		xtest.WantCode(t, kind+": first node after a restart", claimFor(again, tok, first), restarted)
	}
}

// A look whether a token can be claimed counts nothing.
func TestClaimable(t *testing.T) {
	t.Parallel()
	r, key, book := newRegistry(t)
	for kind, tok := range once(t, r, key) {
		first, second := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
		look := func(id identity.ID) error {
			c := tok.Credential()
			a, err := r.Find(&wire.Hello{Method: c.Method, Token: c.Public}, id)
			if err != nil {
				return err
			}
			return a.Claimable()
		}
		before, _ := os.ReadFile(filepath.Join(book.Dir, token.ClaimedFile))
		for range 3 {
			xtest.WantCode(t, kind+": first node looks", look(first), proto.OK)
			xtest.WantCode(t, kind+": second node looks", look(second), proto.OK)
		}
		if after, _ := os.ReadFile(filepath.Join(book.Dir, token.ClaimedFile)); string(after) != string(before) {
			t.Errorf("%s: a look has changed the file from %q to %q", kind, before, after)
		}
		xtest.WantCode(t, kind+": second node claims", claimFor(r, tok, second), proto.OK)
		xtest.WantCode(t, kind+": first node looks, too late", look(first), proto.Denied)
		xtest.WantCode(t, kind+": second node looks again", look(second), proto.OK)
	}
}

// A hundred nodes race for one use, half of them through the registry of another
// process.
func TestOneUseRaced(t *testing.T) {
	t.Parallel()
	r, key, book := newRegistry(t)
	other := token.NewRegistry(key, book)
	for kind, tok := range once(t, r, key) {
		registries := []*token.Registry{r, other}
		if kind == "session" {
			registries = registries[:1]
		}
		start := make(chan struct{}) // closed when all are ready
		var wg sync.WaitGroup
		var in atomic.Int32
		for i := range 100 {
			who := xtest.NewKey(t).ID()
			wg.Go(func() {
				<-start
				err := claimFor(registries[i%len(registries)], tok, who)
				if err == nil {
					in.Add(1)
				} else if got := proto.CodeOf(err); got != proto.Denied {
					t.Errorf("%s: got %v (%v), want %v", kind, got, err, proto.Denied)
				}
			})
		}
		close(start)
		wg.Wait()
		if got := in.Load(); got != 1 {
			t.Errorf("%s: %d of 100 nodes claimed it, want 1", kind, got)
		}
	}
}

func TestRevoked(t *testing.T) {
	t.Parallel()
	r, key, book := newRegistry(t)
	who := xtest.NewKey(t).ID()
	tokens := once(t, r, key)
	for kind, tok := range tokens {
		xtest.WantCode(t, kind, claimFor(r, tok, who), proto.OK)
		if r.Revoked(tok.ID) {
			t.Errorf("%s: revoked, want it good yet", kind)
		}
		for range 2 { // the second changes nothing
			xtest.WantCode(t, "revoke", token.Revoke(book.Dir, tok.ID), proto.OK)
		}
		if !r.Revoked(tok.ID) || !token.NewRegistry(key, book).Revoked(tok.ID) {
			t.Errorf("%s: not revoked, want it revoked here and in another process", kind)
		}
		xtest.WantCode(t, kind+" revoked", claimFor(r, tok, who), proto.Denied)
	}
	text, err := os.ReadFile(filepath.Join(book.Dir, token.RevokedFile))
	if got := strings.Count(string(text), "\n"); got != len(tokens) {
		t.Errorf("got %d lines (%v), want %d", got, err, len(tokens))
	}
}

// A user may have edited the files, added comments, and left out the last line feed.
func TestEditedFiles(t *testing.T) {
	t.Parallel()
	cut := func(path string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.TrimSuffix(string(text), "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, key, book := newRegistry(t)
	first, second := token.ID{1}, token.ID{2}
	xtest.WantCode(t, "revoke", token.Revoke(book.Dir, first), proto.OK)
	cut(filepath.Join(book.Dir, token.RevokedFile))
	xtest.WantCode(t, "revoke", token.Revoke(book.Dir, second), proto.OK)
	noted := token.ID{3}
	f, err := os.OpenFile(filepath.Join(book.Dir, token.RevokedFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "# old ones\n%s # lost in the train", noted)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []token.ID{first, second, noted} {
		if !r.Revoked(id) {
			t.Errorf("%s: not revoked, want it revoked", id)
		}
	}

	tok := once(t, r, key)["capability"]
	other := once(t, r, key)["capability"]
	xtest.WantCode(t, "claim", claimFor(r, tok, xtest.NewKey(t).ID()), proto.OK)
	cut(filepath.Join(book.Dir, token.ClaimedFile))
	xtest.WantCode(t, "claim of another", claimFor(r, other, xtest.NewKey(t).ID()), proto.OK)
	for what, used := range map[string]token.Token{"first": tok, "second": other} {
		xtest.WantCode(t, "second node, "+what+" capability", claimFor(r, used, xtest.NewKey(t).ID()), proto.Denied)
	}
}

func TestFindUnknown(t *testing.T) {
	t.Parallel()
	r, key, _ := newRegistry(t)
	public := once(t, r, key)["capability"].Credential().Public
	for what, h := range map[string]*wire.Hello{
		"unknown session":      {Method: wire.MethodToken, Token: make([]byte, 8)},
		"no session":           {Method: wire.MethodToken},
		"short session":        {Method: wire.MethodToken, Token: make([]byte, 7)},
		"long session":         {Method: wire.MethodToken, Token: make([]byte, 9)},
		"no claims":            {Method: wire.MethodCapability},
		"cut claims":           {Method: wire.MethodCapability, Token: public[:len(public)-1]},
		"longer claims":        {Method: wire.MethodCapability, Token: append(public[:len(public):len(public)], 0)},
		"claims as a session":  {Method: wire.MethodToken, Token: public},
		"unknown method":       {Method: "password", Token: public},
		"resume is not for us": {Method: wire.MethodResume, Token: make([]byte, 16)},
	} {
		_, err := r.Find(h, xtest.NewKey(t).ID())
		xtest.WantCode(t, what, err, proto.Denied)
	}
}

// A token is valid until just before its expiry.
func TestExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, key, _ := newRegistry(t)
		who := xtest.NewKey(t).ID()
		for _, kind := range []string{"session", "capability"} {
			tok := once(t, r, key)[kind]
			xtest.WantCode(t, kind, claimFor(r, tok, who), proto.OK)
			<-time.After(time.Until(tok.Expires) - time.Nanosecond)
			xtest.WantCode(t, kind+" at the last moment", claimFor(r, tok, who), proto.OK)
			<-time.After(time.Nanosecond)
			xtest.WantCode(t, kind+" after it", claimFor(r, tok, who), proto.Denied)
		}
		never, err := token.NewCapability(key, proto.CapSend, 0, 0, identity.ID{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(100 * 365 * 24 * time.Hour)
		xtest.WantCode(t, "without an end", claimFor(r, never, who), proto.OK)
	})
}

func TestNotIssued(t *testing.T) {
	t.Parallel()
	r, key, _ := newRegistry(t)
	for what, c := range map[string]struct {
		caps proto.Caps
		ttl  time.Duration
	}{
		"allows nothing": {0, time.Hour},
		"negative life":  {proto.CapSend, -1},
	} {
		if _, err := r.Issue(c.caps, c.ttl, 1, nil); err == nil {
			t.Errorf("session, %s: made, want an error", what)
		}
		if _, err := token.NewCapability(key, c.caps, c.ttl, 1, identity.ID{}, nil); err == nil {
			t.Errorf("capability, %s: made, want an error", what)
		}
	}
	for _, addrs := range [][]string{make([]string, identity.MaxAddrs+1), {"a"}, {"[fe80::1%eth0]:1"}, {"a b:1"}, {"a#:1"}} {
		tok, err := r.Issue(proto.CapSend, 0, 1, addrs)
		if err != nil {
			continue
		}
		if _, err := tok.Encode(); err == nil {
			t.Errorf("%q: encoded, want an error", addrs)
		}
	}
}
