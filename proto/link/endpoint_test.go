package link_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// overEach runs a test in virtual time, over QUIC, over TCP and with both.
func overEach(t *testing.T, f func(t *testing.T, n *linktest.Net)) {
	t.Helper()
	linktest.OverBoth(t, latency, f)
	t.Run("auto", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { f(t, &linktest.Net{Latency: latency, Both: true}) })
	})
}

// secondListener adds a listener for files, with a registry of its own, to a site's
// endpoint.
func (s *site) secondListener(t *testing.T, offer proto.Caps) *site {
	t.Helper()
	second := &site{endpoint: s.endpoint, key: s.key, dir: t.TempDir()}
	second.registry = token.NewRegistry(s.key, identity.Book{Dir: second.dir})
	var err error
	second.listener, err = s.endpoint.Listen(link.ListenOptions{
		Guard: second, Offer: offer, Max: 2, Takes: func(kind string) bool { return kind == wire.KindFiles },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.listener.Close(); err != nil {
			t.Error(err)
		}
	})
	return second
}

// dialKind is dial for a kind of transfer.
func (s *site) dialKind(t *testing.T, from *link.Endpoint, cred token.Credential, kind string) (dialer, listener *link.Link) {
	t.Helper()
	target := s.target(cred, proto.CapSend)
	target.Kind = kind
	dialer, err := from.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return dialer, s.accept(t)
}

// One endpoint dials and listens for several transfers at once. The end of a link or
// of a listener leaves the others alone, and a link whose listener is closed can still
// resume.
func TestOneEndpoint(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, n *linktest.Net) {
		home := newSite(t, n, proto.AllCaps, 2)
		files := home.secondListener(t, proto.AllCaps)
		other := newSite(t, n, proto.AllCaps, 2)
		guest, _ := n.Endpoint(t)

		type pair struct{ dl, ll *link.Link }
		var pairs []pair
		add := func(dl, ll *link.Link) { pairs = append(pairs, pair{dl, ll}) }
		cred, _ := home.issue(t, proto.CapSend, 0, 0)
		add(home.dial(t, guest, cred, proto.CapSend))
		cred, _ = files.issue(t, proto.CapSend, 0, 0)
		add(files.dialKind(t, guest, cred, wire.KindFiles))
		cred, _ = other.issue(t, proto.CapSend, 0, 0)
		add(other.dial(t, home.endpoint, cred, proto.CapSend)) // from the endpoint that listens
		add(other.dial(t, home.endpoint, cred, proto.CapSend))
		for _, p := range pairs {
			echo(t, p.dl, p.ll)
		}

		pairs[3].dl.Close(nil)
		pairs[3].ll.Close(nil)
		if err := home.listener.Close(); err != nil {
			t.Fatal(err)
		}
		for _, p := range pairs[:3] {
			echo(t, p.dl, p.ll)
		}
		pairs[0].dl.Break(errors.New("enough"))
		dl, ll := resume(t, pairs[0].dl, pairs[0].ll)
		echo(t, dl, ll)
		pairs[0] = pair{dl, ll}

		cred, _ = files.issue(t, proto.CapSend, 0, 0)
		add(files.dialKind(t, guest, cred, wire.KindFiles))
		for _, p := range append(pairs[:3:3], pairs[4]) {
			echo(t, p.dl, p.ll)
			p.dl.Close(nil)
			p.ll.Close(nil)
		}
	})
}

// A peer belongs to the listener that knows its credential and waits for its kind of
// transfer. If none does, it is told what the first one said that knows it.
func TestListenersJudge(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, n *linktest.Net) {
		pipes := newSite(t, n, proto.CapSend, 1)
		files := pipes.secondListener(t, proto.CapSend|proto.CapRecv)
		guest, guestKey := n.Endpoint(t)
		if err := (identity.Book{Dir: pipes.dir}).Allow(guestKey.ID(), proto.AllCaps); err != nil {
			t.Fatal(err)
		}
		if err := (identity.Book{Dir: files.dir}).Allow(guestKey.ID(), proto.AllCaps); err != nil {
			t.Fatal(err)
		}
		dl, ll := pipes.dial(t, guest, token.KeyCredential(), proto.CapSend)
		echo(t, dl, ll)
		target := pipes.target(token.KeyCredential(), proto.CapSend)
		_, err := guest.Dial(t.Context(), target)
		xtest.WantCode(t, "a second pipe, where there is one place", err, proto.Busy)
		fd, fl := files.dialKind(t, guest, token.KeyCredential(), wire.KindFiles)
		echo(t, fd, fl)

		target.Want, target.Need = proto.CapRecv, 0
		_, err = guest.Dial(t.Context(), target)
		xtest.WantCode(t, "a pipe with a capability that only the listener for files offers", err, proto.Capability)
		stranger, _ := n.Endpoint(t)
		_, err = stranger.Dial(t.Context(), target)
		xtest.WantCode(t, "a key that neither knows", err, proto.Denied)
		for _, l := range []*link.Link{dl, ll, fd, fl} {
			l.Close(nil)
		}
	})
}

// Two dials at once for the same credential are two transfers.
func TestDialsAtOnce(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, n *linktest.Net) {
		const dials = 8
		s := newSite(t, n, proto.AllCaps, dials)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		transfers := make(map[wire.TransferID]bool)
		for range dials {
			wg.Go(func() {
				l, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				transfers[l.Transfer] = true
				mu.Unlock()
				if l.Resumed {
					t.Errorf("transfer %s goes on, want a new one", l.Transfer)
				}
			})
		}
		var links []*link.Link
		for range dials {
			links = append(links, s.accept(t))
		}
		wg.Wait()
		for _, l := range links {
			l.Close(nil)
		}
		if len(transfers) != dials {
			t.Errorf("got %d transfers, want %d", len(transfers), dials)
		}
	})
}

// An endpoint whose last listener is closed can listen again, over QUIC.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		guest, _ := n.Endpoint(t)
		for range 3 {
			if err := s.listener.Close(); err != nil {
				t.Fatal(err)
			}
			var err error
			if s.listener, err = s.endpoint.Listen(link.ListenOptions{Guard: s, Offer: proto.AllCaps, Max: 1}); err != nil {
				t.Fatal(err)
			}
			cred, _ := s.issue(t, proto.CapSend, 0, 0)
			dl, ll := s.dial(t, guest, cred, proto.CapSend)
			echo(t, dl, ll)
			dl.Close(nil)
			ll.Close(nil)
		}
	})
}

// When the endpoint is closed, each of its listeners says so.
func TestListenersWhenSocketsClose(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		second := s.secondListener(t, proto.AllCaps)
		if err := s.endpoint.Close(); err != nil {
			t.Fatal(err)
		}
		for _, l := range []*link.Listener{s.listener, second.listener} {
			_, err := l.Accept(t.Context())
			xtest.WantCode(t, "accept", err, proto.IO)
		}
		late, err := s.endpoint.Listen(link.ListenOptions{Guard: s, Offer: proto.AllCaps, Max: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = late.Accept(t.Context())
		xtest.WantCode(t, "accept of a listener made since", err, proto.IO)
		if err := late.Close(); err != nil {
			t.Error(err)
		}
	})
}
