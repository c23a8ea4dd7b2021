package token_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

// A registry that issues tokens for months must not keep the expired ones.
func TestExpiredTokensAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := newRegistry(t)
		holder := xtest.NewKey(t).ID()
		const waves, each, ttl = 1000, 1000, 10 * time.Minute
		most := 0
		for range waves {
			for range each {
				if _, err := r.IssueTo(holder, proto.CapSend, ttl); err != nil {
					t.Fatal(err)
				}
			}
			most = max(most, r.Issued())
			<-time.After(ttl)
		}
		if most > 3*each {
			t.Errorf("held up to %d tokens of %d, want at most %d: those that have not expired, and as many again", most, waves*each, 3*each)
		}
		// The last wave is forgotten when further tokens are issued.
		for range 4 * each {
			tok, err := r.IssueTo(holder, proto.CapSend, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
			xtest.WantCode(t, "expired", claimFor(r, tok, holder), proto.Denied)
		}
		if got := r.Issued(); got > each {
			t.Errorf("holds %d tokens, want the %d of the last wave forgotten", got, each)
		}
	})
}

// A token without an expiry is never forgotten, however many others are.
func TestTokensWithoutExpiryStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := newRegistry(t)
		dialer := xtest.NewKey(t).ID()
		never, err := r.Issue(proto.CapSend, 0, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if _, err := r.IssueTo(dialer, proto.CapSend, time.Second); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
		}
		xtest.WantCode(t, "without an expiry", claimFor(r, never, dialer), proto.OK)
	})
}

func TestIssueTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, key, book := newRegistry(t)
		holder, other := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
		tok, err := r.IssueTo(holder, proto.CapSend|proto.CapRecv, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		want := token.Claims{Listener: key.ID(), ID: tok.ID, Caps: proto.CapSend | proto.CapRecv, Expires: tok.Expires, Uses: 1, Holder: holder}
		if tok.Claims != want || len(tok.Addrs) != 0 || time.Until(tok.Expires) < time.Minute {
			t.Errorf("got %+v for %v, want %+v for a minute", tok.Claims, time.Until(tok.Expires), want)
		}
		if back, err := token.Parse(encode(t, tok)); err != nil || !back.Equal(tok) {
			t.Errorf("its text reads as %+v (%v), want %+v", back.Claims, err, tok.Claims)
		}
		xtest.WantCode(t, "another node", claimFor(r, tok, other), proto.Denied)
		xtest.WantCode(t, "the holder", claimFor(r, tok, holder), proto.OK)
		xtest.WantCode(t, "another node after the holder", claimFor(r, tok, other), proto.Denied)
		// A used-up token admits its user until it expires, since the answer to
		// the first P2P_HELLO may have been lost.
		<-time.After(time.Until(tok.Expires) - time.Nanosecond)
		xtest.WantCode(t, "the holder at the last moment", claimFor(r, tok, holder), proto.OK)
		<-time.After(time.Nanosecond)
		xtest.WantCode(t, "the holder after it", claimFor(r, tok, holder), proto.Denied)
		if got := r.Issued(); got != 0 {
			t.Errorf("holds %d tokens, want the used-up and expired one forgotten", got)
		}
		xtest.WantCode(t, "the holder of a forgotten token", claimFor(r, tok, holder), proto.Denied)
		for _, file := range []string{token.ClaimedFile, token.RevokedFile} {
			if _, err := os.Stat(filepath.Join(book.Dir, file)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: got %v, want no file: session tokens live in memory", file, err)
			}
		}
	})
}

func TestIssueToRefuses(t *testing.T) {
	t.Parallel()
	r, _, _ := newRegistry(t)
	holder := xtest.NewKey(t).ID()
	for what, c := range map[string]struct {
		holder identity.ID
		caps   proto.Caps
		ttl    time.Duration
	}{
		"no holder":     {identity.ID{}, proto.CapSend, time.Minute},
		"no capability": {holder, 0, time.Minute},
		"no life":       {holder, proto.CapSend, 0},
		"negative life": {holder, proto.CapSend, -1},
	} {
		if _, err := r.IssueTo(c.holder, c.caps, c.ttl); err == nil {
			t.Errorf("%s: issued, want an error", what)
		}
	}
	if got := r.Issued(); got != 0 {
		t.Errorf("holds %d tokens, want none", got)
	}
}

// Cancel takes a token from its user too, and from a dialer between its proof and
// its claim.
func TestCancel(t *testing.T) {
	t.Parallel()
	r, _, _ := newRegistry(t)
	holder := xtest.NewKey(t).ID()
	for _, used := range []bool{false, true} {
		tok, err := r.IssueTo(holder, proto.CapSend, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if used {
			xtest.WantCode(t, "before", claimFor(r, tok, holder), proto.OK)
		}
		found, err := r.Find(hello(tok), holder)
		if err != nil {
			t.Fatal(err)
		}
		r.Cancel(tok.ID)
		r.Cancel(tok.ID) // the second changes nothing
		xtest.WantCode(t, "a claim after Cancel", found.Claim(), proto.Denied)
		xtest.WantCode(t, "a dial after Cancel", claimFor(r, tok, holder), proto.Denied)
		if r.Revoked(tok.ID) || r.Issued() != 0 {
			t.Errorf("revoked %v, %d held: want no revocation and no token", r.Revoked(tok.ID), r.Issued())
		}
	}
}
