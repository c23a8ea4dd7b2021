package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// relays gives out permits that say whose they are, and counts the sessions.
type relays struct {
	none  bool
	asked int
}

func (r *relays) of(session hub.ID, dialer, listener identity.ID) broker.Relay {
	if r.asked++; r.none {
		return nil
	}
	return aRelay{session, dialer, listener}
}

type aRelay struct {
	session          hub.ID
	dialer, listener identity.ID
}

func (r aRelay) Doors(role, origin string) []hub.Relay {
	return []hub.Relay{{URL: "tcp" + origin[len("wss"):], Permit: fmt.Sprint(r.session.String()[:8], role, r.dialer.Short(), r.listener.Short())}}
}

// doorsOf is what an end of a session at the hub wss://h:443 is told.
func doorsOf(session hub.ID, dialer, listener identity.ID, role string) []hub.Relay {
	return aRelay{session, dialer, listener}.Doors(role, "wss://h:443")
}

func (p *peer) wantRelay(what string, got, want []hub.Relay) {
	p.w.t.Helper()
	if !slices.Equal(got, want) {
		p.w.t.Errorf("%s: got relay %v, want %v", what, got, want)
	}
}

// relayed is a hub with relays.
func relayed(t *testing.T, r *relays, guests bool) *world {
	w := newWorld(t)
	w.guests, w.relays = guests, r.of
	w.restart()
	return w
}

// Each end gets a permit of its own, at all instances that are asked, and the same one
// again when the request is repeated.
func TestRelayOfSession(t *testing.T) {
	t.Parallel()
	r := new(relays)
	w := relayed(t, r, false)
	alice, bob := w.online(w.member()), w.online(w.member(), named("bob"))
	q := alice.request("bob")
	forBob := doorsOf(q.Session, alice.key.ID(), bob.key.ID(), hub.RoleListener)
	forAlice := doorsOf(q.Session, alice.key.ID(), bob.key.ID(), hub.RoleDialer)
	for range 2 { // the second time it is a repeat
		alice.want(hub.TypeOK, hub.TypeRequest, q)
		var offer hub.Offer
		bob.take(hub.TypeOffer, &offer)
		bob.wantRelay("offer", offer.Relay, forBob)
		bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(q.Session))
		var created hub.Created
		alice.take(hub.TypeCreated, &created)
		alice.wantRelay("created at the dialer", created.Relay, forAlice)
		bob.take(hub.TypeCreated, &created)
		bob.wantRelay("created at the listener", created.Relay, forBob)
	}
	if r.asked != 1 {
		t.Errorf("the relay was chosen %d times, want once", r.asked)
	}
}

// An end is told the address by which it knows the hub.
func TestRelayByOrigin(t *testing.T) {
	t.Parallel()
	w := relayed(t, new(relays), false)
	alice := w.online(w.member())
	key := w.member()
	bob, err := w.login(key, hub.NewID(), func(l *hub.Login, h *hub.Hello) {
		l.Origin = "wss://192.0.2.1:8443"
		h.Sig = l.Sign(key, h.Instance)
	}, named("bob"))
	w.ok("log in", err)
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	var offer hub.Offer
	bob.take(hub.TypeOffer, &offer)
	if len(offer.Relay) != 1 || offer.Relay[0].URL != "tcp://192.0.2.1:8443" {
		t.Errorf("got %v, want tcp://192.0.2.1:8443", offer.Relay)
	}
}

// A member is told at its login where the relays are, by the address by which it knows the
// hub and without a permit; a guest is not.
func TestRelaysInWelcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.guests = true
	w.doors = func(origin string) []hub.Relay { return []hub.Relay{{URL: "tcp" + origin[len("wss"):]}} }
	w.restart()
	for what, tt := range map[string]struct {
		key  *identity.Key
		want []hub.Relay
	}{
		"a member": {w.member(), []hub.Relay{{URL: "tcp://h:443"}}},
		"a guest":  {xtest.NewKey(t), nil},
	} {
		p := w.online(tt.key)
		var got hub.Welcome
		p.take(hub.TypeWelcome, &got)
		p.wantRelay(what, got.Relay, tt.want)
	}
}

// bear sends a request with a bearer: every instance of the listener is asked.
func (p *peer) bear(method string, to identity.ID) *hub.Request {
	r := p.request(to.String())
	r.Bearer = &hub.Bearer{Method: method, Token: []byte("claims"), MAC: make([]byte, 32)}
	r.Sign(p.key, p.w.hub.ID())
	return r
}

// A request for a link that exists, or with a token, brings permits to each instance.
// The first one that accepts has the session, the others are told that it is over.
func TestRelayOfBearer(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"resume", "known"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := relayed(t, new(relays), false)
			alice, key := w.online(w.member()), w.member()
			first, second := w.online(key), w.online(key, named("bob"))
			q := alice.bear(method, key.ID())
			alice.want(hub.TypeOK, hub.TypeRequest, q)
			want := doorsOf(q.Session, alice.key.ID(), key.ID(), hub.RoleListener)
			for what, p := range map[string]*peer{"first": first, "second": second} {
				var offer hub.Offer
				p.take(hub.TypeOffer, &offer)
				p.wantRelay("offer to the "+what+" instance", offer.Relay, want)
				if b := offer.Request.Bearer; b == nil || b.Method != method {
					t.Errorf("the %s instance got bearer %v, want %s", what, b, method)
				}
			}
			first.want(hub.TypeOK, hub.TypeAccept, acceptOf(q.Session))
			var created hub.Created
			alice.take(hub.TypeCreated, &created)
			alice.wantRelay("created", created.Relay, doorsOf(q.Session, alice.key.ID(), key.ID(), hub.RoleDialer))
			second.take(hub.TypeCancelled, new(hub.SessionRef))
			second.want(hub.CodeGone, hub.TypeAccept, acceptOf(q.Session))
			second.none(hub.TypeCreated)
		})
	}
}

// A link lives longer than the hub's memory of its session: the next request, of another
// session, brings permits again.
func TestRelayAgain(t *testing.T) {
	t.Parallel()
	w := relayed(t, new(relays), false)
	alice, bob := w.online(w.member()), w.online(w.member())
	for range 3 {
		q := alice.bear("resume", bob.key.ID())
		alice.want(hub.TypeOK, hub.TypeRequest, q)
		var offer hub.Offer
		bob.take(hub.TypeOffer, &offer)
		bob.wantRelay("offer", offer.Relay, doorsOf(q.Session, alice.key.ID(), bob.key.ID(), hub.RoleListener))
		bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(q.Session))
		w.passAlive(hub.SessionLife+time.Second, alice, bob)
	}
}

// Nobody gets a permit for a session id of others: the session is another one.
func TestRelayForeignSession(t *testing.T) {
	t.Parallel()
	r := new(relays)
	w := relayed(t, r, false)
	alice, bob := w.online(w.member()), w.online(w.member(), named("bob"))
	mallory, eve := w.online(w.member()), w.online(w.member(), named("eve"))
	q := alice.request("bob")
	alice.want(hub.TypeOK, hub.TypeRequest, q)
	bob.take(hub.TypeOffer, new(hub.Offer))
	for _, to := range []string{"bob", "eve"} {
		theirs := mallory.request(to)
		theirs.Session = q.Session
		theirs.Sign(mallory.key, w.hub.ID())
		mallory.want(hub.CodeBadEvent, hub.TypeRequest, theirs)
	}
	bob.none(hub.TypeOffer)
	eve.none(hub.TypeOffer)
	// Once the session is over its id is free: the permits name other nodes.
	alice.want(hub.TypeOK, hub.TypeCancel, &hub.SessionRef{Session: q.Session})
	theirs := mallory.request("eve")
	theirs.Session = q.Session
	theirs.Sign(mallory.key, w.hub.ID())
	mallory.want(hub.TypeOK, hub.TypeRequest, theirs)
	var offer hub.Offer
	eve.take(hub.TypeOffer, &offer)
	eve.wantRelay("offer", offer.Relay, doorsOf(q.Session, mallory.key.ID(), eve.key.ID(), hub.RoleListener))
	mallory.want(hub.CodeGone, hub.TypeAccept, acceptOf(q.Session))
}

// The session of a code has the relay that any other one has, unless a guest is its dialer.
func TestRelayOfCode(t *testing.T) {
	t.Parallel()
	r := new(relays)
	w := relayed(t, r, true)
	bob := w.online(w.member(), named("bob"))
	for what, alice := range map[string]*peer{"member": w.online(w.member()), "guest": w.online(xtest.NewKey(t))} {
		c := bob.show(hub.ID{}, identity.ID{})
		alice.want(hub.TypeOK, hub.TypeCodeConfirm, alice.claim(c.plate).Confirm())
		bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(alice.key))
		var forAlice, forBob []hub.Relay
		if what == "member" {
			forAlice = doorsOf(c.box, alice.key.ID(), bob.key.ID(), hub.RoleDialer)
			forBob = doorsOf(c.box, alice.key.ID(), bob.key.ID(), hub.RoleListener)
		}
		var created hub.Created
		alice.take(hub.TypeCreated, &created)
		alice.wantRelay("created at the "+what, created.Relay, forAlice)
		created = hub.Created{}
		bob.take(hub.TypeCreated, &created)
		bob.wantRelay("created at the listener of a "+what, created.Relay, forBob)
	}
	if r.asked != 1 {
		t.Errorf("a relay was chosen %d times, want once", r.asked)
	}
}

// Who is no member, or asks for itself, gets no permit; nor does anybody where there is no
// relay.
func TestRelayWithout(t *testing.T) {
	t.Parallel()
	t.Run("no relay answers", func(t *testing.T) {
		t.Parallel()
		w := relayed(t, &relays{none: true}, false)
		alice, bob := w.online(w.member()), w.online(w.member(), named("bob"))
		wantNoRelay(w, alice, bob)
	})
	t.Run("no relays", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		wantNoRelay(w, w.online(w.member()), w.online(w.member(), named("bob")))
	})
	t.Run("one node", func(t *testing.T) {
		t.Parallel()
		w := relayed(t, new(relays), false)
		key := w.member()
		wantNoRelay(w, w.online(key), w.online(key, named("bob")))
	})
	t.Run("removed", func(t *testing.T) {
		t.Parallel()
		r := new(relays)
		w := relayed(t, r, false)
		alice, bob := w.online(w.member()), w.online(w.member(), named("bob"))
		w.ok("remove", w.b.RemoveMember("admin", alice.key.ID()))
		if got := alice.ask(hub.TypeRequest, alice.bear("resume", bob.key.ID())); got.Type != "" || r.asked != 0 {
			t.Errorf("got %q and %d relays chosen, want no answer and none", got.Type, r.asked)
		}
		bob.none(hub.TypeOffer)
	})
}

func wantNoRelay(w *world, alice, bob *peer) {
	w.t.Helper()
	q := alice.request("bob")
	alice.want(hub.TypeOK, hub.TypeRequest, q)
	var offer hub.Offer
	bob.take(hub.TypeOffer, &offer)
	bob.wantRelay("offer", offer.Relay, nil)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(q.Session))
	var created hub.Created
	alice.take(hub.TypeCreated, &created)
	alice.wantRelay("created", created.Relay, nil)
}
