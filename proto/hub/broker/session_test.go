package broker_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

// pair is a hub with alice, and bob under his name.
func pair(t testing.TB) (w *world, alice, bob *peer) {
	w = newWorld(t)
	alice, bob = w.online(w.member(), named("alice")), w.online(w.member(), named("bob"))
	return w, alice, bob
}

// begin asks for a session and returns it as bob was offered it.
func begin(alice, bob *peer) (*hub.Request, hub.Event) {
	r := alice.request("bob")
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	var o hub.Offer
	return r, bob.take(hub.TypeOffer, &o)
}

func TestSession(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, offer := begin(alice, bob)
	if offer.From != alice.key.ID() || offer.Name != "alice" {
		t.Errorf("offer from %s %q, want alice's key and name", offer.From, offer.Name)
	}
	var o hub.Offer
	w.ok("read offer", offer.Read(&o))
	if !o.Request.Signed(alice.key.ID(), w.hub.ID()) {
		t.Error("the request that was passed on is not signed any more")
	}
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	var a, b hub.Created
	alice.take(hub.TypeCreated, &a)
	bob.take(hub.TypeCreated, &b)
	if a.Role != hub.RoleDialer || a.Peer != bob.key.ID() || a.Name != "bob" || string(a.SessionToken) != "sealed" || a.ExpiresS != 600 {
		t.Errorf("alice's: %+v", a)
	}
	if b.Role != hub.RoleListener || b.Peer != alice.key.ID() || b.Name != "alice" || b.SessionToken != nil {
		t.Errorf("bob's: %+v", b)
	}
	var g hub.Candidates
	alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte("x")})
	if from := bob.take(hub.TypeCandidates, &g); from.From != alice.key.ID() || g.Gen != 1 {
		t.Errorf("candidates: %+v from %s", g, from.From)
	}
	var c hub.Closed
	bob.want(hub.TypeOK, hub.TypeClosed, &hub.Closed{Session: r.Session, Reason: "done"})
	alice.take(hub.TypeClosed, &c)
	if n := w.b.Count().Sessions; n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	alice.want(hub.CodeNotFound, hub.TypeClosed, &hub.Closed{Session: r.Session, Reason: "done"})
}

// A request whose dialer leaves while its signature is checked opens no session: nobody
// would end it.
func TestRequestOfLeaver(t *testing.T) {
	t.Parallel()
	w, _, _ := pair(t)
	var wg sync.WaitGroup
	for range 100 {
		p := w.online(w.member())
		e, err := hub.New(hub.TypeRequest, p.request("bob"))
		w.ok("encode", err)
		begun := make(chan struct{})
		wg.Go(func() {
			close(begun)
			p.k.Handle(e)
		})
		<-begun
		p.k.Left()
	}
	wg.Wait()
	if n := w.b.Count().Sessions; n != 0 {
		t.Errorf("%d sessions of dialers that have left, want none", n)
	}
}

// Only the parties of a session may say anything about it; nobody else learns that it
// exists.
func TestStranger(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	mallory := w.online(w.member())
	other := w.online(bob.key) // another instance of bob
	r, _ := begin(alice, bob)
	for _, p := range []*peer{mallory, other, alice} {
		p.want(hub.CodeGone, hub.TypeAccept, acceptOf(r.Session))
		p.want(hub.CodeNotFound, hub.TypePending, &hub.SessionRef{Session: r.Session})
		p.want(hub.CodeNotFound, hub.TypeDecline, &hub.Decline{Session: r.Session, Code: hub.CodeBusy})
	}
	for _, p := range []*peer{mallory, other, bob} {
		p.want(hub.CodeNotFound, hub.TypeCancel, &hub.SessionRef{Session: r.Session})
	}
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	for _, p := range []*peer{mallory, other} {
		p.want(hub.CodeNotFound, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte("x")})
		p.want(hub.CodeNotFound, hub.TypeClosed, &hub.Closed{Session: r.Session, Reason: "x"})
	}
	stolen := mallory.request("bob")
	stolen.Session = r.Session
	stolen.Sign(mallory.key, w.hub.ID())
	mallory.want(hub.CodeBadEvent, hub.TypeRequest, stolen)
}

// A request that another node has signed is offered as that of the node which has sent it, and
// the listener, which checks the signature, drops it. It takes no id from the other node.
func TestForgedRequest(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	mallory := w.online(w.member())
	forged := mallory.request("bob")
	forged.Sign(alice.key, w.hub.ID())
	mallory.want(hub.TypeOK, hub.TypeRequest, forged)
	var o hub.Offer
	e := bob.take(hub.TypeOffer, &o)
	if e.From != mallory.key.ID() || o.Request.Signed(e.From, w.hub.ID()) {
		t.Errorf("got an offer from %s, signed by it: %v; want one from %s, not signed by it", e.From.Short(), o.Request.Signed(e.From, w.hub.ID()), mallory.key.ID().Short())
	}
	begin(alice, bob)
}

func TestDecline(t *testing.T) {
	t.Parallel()
	for _, code := range []string{hub.CodeBusy, hub.CodeDeclined, hub.CodeDenied, hub.CodeCapability, hub.CodeKind} {
		_, alice, bob := pair(t)
		r, _ := begin(alice, bob)
		bob.want(hub.TypeOK, hub.TypeDecline, &hub.Decline{Session: r.Session, Code: code})
		var d hub.Declined
		if alice.take(hub.TypeDeclined, &d); d.Code != code {
			t.Errorf("got %q, want %q", d.Code, code)
		}
		bob.want(hub.CodeGone, hub.TypeAccept, acceptOf(r.Session))
	}
}

// The listener has the time that the request names, and once a minute more if it asks a
// person.
func TestAnswerTimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answerS uint32
		pending int
		want    time.Duration
	}{{0, 0, 20 * time.Second}, {5, 0, 5 * time.Second}, {60, 0, time.Minute}, {20, 1, 80 * time.Second}, {20, 2, 80 * time.Second}} {
		w, alice, bob := pair(t)
		r := alice.request("bob")
		r.AnswerS = tt.answerS
		r.Sign(alice.key, w.hub.ID())
		alice.want(hub.TypeOK, hub.TypeRequest, r)
		for range tt.pending {
			bob.want(hub.TypeOK, hub.TypePending, &hub.SessionRef{Session: r.Session})
		}
		if tt.pending > 0 {
			alice.take(hub.TypePending, new(hub.SessionRef))
			alice.none(hub.TypePending)
		}
		w.passAlive(tt.want-time.Millisecond, alice, bob)
		alice.none(hub.TypeDeclined)
		w.pass(time.Millisecond)
		var d hub.Declined
		if alice.take(hub.TypeDeclined, &d); d.Code != hub.CodeTimeout {
			t.Errorf("got %q, want timeout", d.Code)
		}
		bob.take(hub.TypeCancelled, new(hub.SessionRef))
		bob.want(hub.CodeGone, hub.TypeAccept, acceptOf(r.Session))
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, accepted := range []bool{false, true} {
		_, alice, bob := pair(t)
		r, _ := begin(alice, bob)
		if accepted {
			bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
		}
		alice.want(hub.TypeOK, hub.TypeCancel, &hub.SessionRef{Session: r.Session})
		bob.take(hub.TypeCancelled, new(hub.SessionRef))
		bob.want(hub.CodeGone, hub.TypeAccept, acceptOf(r.Session))
		alice.want(hub.CodeNotFound, hub.TypeCancel, &hub.SessionRef{Session: r.Session})
	}
}

// The same request again is the same session, before and after the accept, and at a hub
// that was restarted in between. Another one under its id is refused.
func TestRepeat(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	bob.take(hub.TypeOffer, new(hub.Offer))
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice.take(hub.TypeCreated, new(hub.Created))
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	bob.take(hub.TypeOffer, new(hub.Offer))
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice.take(hub.TypeCreated, new(hub.Created))

	changed := *r
	changed.Want = "recv"
	changed.Sign(alice.key, w.hub.ID())
	alice.want(hub.CodeBadEvent, hub.TypeRequest, &changed)

	w.restart()
	alice, bob = alice.again(named("alice")), bob.again(named("bob"))
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	bob.take(hub.TypeOffer, new(hub.Offer))
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice.take(hub.TypeCreated, new(hub.Created))
}

// A session is that of one instance of each end, whichever connection they have.
func TestSessionAcrossConnections(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r := alice.request("bob")
	bob.k.Lost()
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	w.pass(hub.Grace - time.Millisecond)
	bob = bob.again()
	bob.take(hub.TypeOffer, new(hub.Offer))
	alice.k.Lost()
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice = alice.again()
	alice.take(hub.TypeCreated, new(hub.Created))

	bob.k.Lost()
	alice.want(hub.CodeOffline, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte("x")})
	w.pass(time.Minute / 2)
	bob = bob.again()
	alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 2, Sealed: []byte("x")})
	bob.take(hub.TypeCandidates, new(hub.Candidates))
}

// What an end has sent last reaches the other one before the end of the session, also within
// the second in which the hub passes on one list alone. It does so once.
func TestCandidatesBeforeClosed(t *testing.T) {
	t.Parallel()
	for sent := range uint64(4) {
		_, alice, bob := pair(t)
		r, _ := begin(alice, bob)
		bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
		for gen := range sent {
			bob.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: gen + 1, Sealed: []byte("x")})
		}
		bob.want(hub.TypeOK, hub.TypeClosed, &hub.Closed{Session: r.Session, Reason: hub.ReasonPaired})
		var gens []uint64
		ended := false
		for _, e := range alice.events {
			var c hub.Candidates
			switch e.Type {
			case hub.TypeCandidates:
				if err := e.Read(&c); err != nil || ended {
					t.Errorf("%d lists: got one after the end: %v (%v)", sent, ended, err)
				}
				gens = append(gens, c.Gen)
			case hub.TypeClosed:
				ended = true
			}
		}
		want := map[uint64][]uint64{0: nil, 1: {1}, 2: {1, 2}, 3: {1, 3}}[sent]
		if !slices.Equal(gens, want) || !ended {
			t.Errorf("%d lists: got %v, and the end: %v; want %v, and the end", sent, gens, ended, want)
		}
	}
}

// The newest candidates are passed on again to an end that has logged in again, since they
// may have been lost with its connection, by name and by code.
func TestCandidatesAcrossConnections(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte("x")})
	bob.k.Lost()
	bob = bob.again()
	w.pass(2 * time.Second)
	var g hub.Candidates
	if bob.take(hub.TypeCandidates, &g); g.Gen != 1 {
		t.Errorf("listener: got gen %d, want 1", g.Gen)
	}
	alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 2, Sealed: []byte("x")})
	bob.k.Lost() // while the list waits for its rate
	w.pass(hub.Grace + time.Second)
	bob = bob.again()
	w.pass(2 * time.Second)
	if bob.take(hub.TypeCandidates, &g); g.Gen != 2 {
		t.Errorf("listener that was away: got gen %d, want 2", g.Gen)
	}
	bob.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 7, Sealed: []byte("y")})
	alice.k.Lost()
	alice = alice.again()
	w.pass(2 * time.Second)
	if alice.take(hub.TypeCandidates, &g); g.Gen != 7 {
		t.Errorf("dialer: got gen %d, want 7", g.Gen)
	}
	alice.none(hub.TypeCandidates)
}

// A listener that goes before it answers is offline, after the grace or at once if it
// closed its connection.
func TestListenerGone(t *testing.T) {
	t.Parallel()
	for _, left := range []bool{true, false} {
		w, alice, bob := pair(t)
		begin(alice, bob)
		if left {
			bob.k.Left()
		} else {
			bob.k.Lost()
			w.pass(hub.Grace - time.Millisecond)
			alice.none(hub.TypeDeclined)
			w.pass(time.Millisecond)
		}
		var d hub.Declined
		if alice.take(hub.TypeDeclined, &d); d.Code != hub.CodeOffline {
			t.Errorf("got %q, want offline", d.Code)
		}
		alice.want(hub.CodeOffline, hub.TypeRequest, alice.request("bob"))
		alice.want(hub.CodeNotFound, hub.TypeRequest, alice.request("carol"))
	}
}

func TestDialerLeaves(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	begin(alice, bob)
	alice.k.Left()
	bob.take(hub.TypeCancelled, new(hub.SessionRef))
	bob.none(hub.TypeCancelled)
	if n, parties := w.b.Count().Sessions, w.b.Involved(); n != 0 || parties != 0 {
		t.Errorf("%d sessions with %d parties are left", n, parties)
	}
}

func TestSessionLife(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	w.passAlive(hub.SessionLife-time.Second, alice, bob)
	if n := w.b.Count().Sessions; n != 1 {
		t.Errorf("%d sessions before the end of its life, want 1", n)
	}
	w.passAlive(time.Second, alice, bob)
	if n := w.b.Count().Sessions; n != 0 {
		t.Errorf("%d sessions after its life", n)
	}
	if n := w.b.Involved(); n != 0 {
		t.Errorf("%d parties of no session are left", n)
	}
}

// A request with a bearer reaches each instance of the node; the one that knows the
// token answers.
func TestBearer(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	second := w.online(bob.key)
	r := alice.request(bob.key.ID().String())
	r.Bearer = &hub.Bearer{Method: "known", Token: []byte("t"), MAC: make([]byte, 32)}
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	second.take(hub.TypeOffer, new(hub.Offer))
	bob.take(hub.TypeOffer, new(hub.Offer))
	second.want(hub.TypeOK, hub.TypeDecline, &hub.Decline{Session: r.Session, Code: hub.CodeDenied})
	alice.none(hub.TypeDeclined)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice.take(hub.TypeCreated, new(hub.Created))
	second.want(hub.CodeGone, hub.TypeAccept, acceptOf(r.Session))
}

// 64 sessions of a dialer are open at a time.
func TestMaxDialing(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	var last *hub.Request
	for range broker.MaxDialing {
		w.pass(time.Second)
		last = alice.request("bob")
		last.AnswerS = 60
		last.Sign(alice.key, w.hub.ID())
		alice.want(hub.TypeOK, hub.TypeRequest, last)
		bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(last.Session))
	}
	w.pass(time.Second)
	alice.want(hub.CodeLimit, hub.TypeRequest, alice.request("bob"))
	bob.want(hub.TypeOK, hub.TypeClosed, &hub.Closed{Session: last.Session, Reason: "done"})
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
}

// A node makes 20 requests at once and 5 a second after that.
func TestRequestRate(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	for range 20 {
		alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	}
	alice.want(hub.CodeRateLimited, hub.TypeRequest, alice.request("bob"))
	w.pass(time.Second)
	for range 5 {
		alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	}
	alice.want(hub.CodeRateLimited, hub.TypeRequest, alice.request("bob"))
	_ = bob
}

// A listener is asked 30 times at once and 10 times a second after that; the rest waits,
// and dialers take turns.
func TestOfferRate(t *testing.T) {
	t.Parallel()
	w, _, bob := pair(t)
	greedy, modest := w.online(w.member()), w.online(w.member())
	others := []*peer{w.online(w.member()), greedy}
	for _, p := range others {
		for range 20 {
			p.want(hub.TypeOK, hub.TypeRequest, p.request("bob"))
		}
	}
	if n := len(bob.events) - 1; n != 30 {
		t.Fatalf("%d offers at once, want 30", n)
	}
	modest.want(hub.TypeOK, hub.TypeRequest, modest.request("bob"))
	bob.events = nil
	w.pass(time.Second / 4)
	if n := len(bob.events); n != 2 {
		t.Fatalf("%d offers in 250ms, want 2", n)
	}
	if bob.events[0].From != greedy.key.ID() || bob.events[1].From != modest.key.ID() {
		t.Errorf("offers from %s and %s: the dialers take no turns", bob.events[0].From.Short(), bob.events[1].From.Short())
	}
	w.pass(2 * time.Second)
	if n := len(bob.events); n != 11 {
		t.Errorf("%d waiting requests were offered, want 11", n)
	}
}

// One generation of candidates a second is passed on, the newest.
func TestCandidateRate(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	for gen := range uint64(5) {
		alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: gen + 1, Sealed: []byte("x")})
	}
	var g hub.Candidates
	bob.take(hub.TypeCandidates, &g)
	bob.none(hub.TypeCandidates)
	w.pass(time.Second - time.Millisecond)
	bob.none(hub.TypeCandidates)
	w.pass(broker.SweepEvery)
	if bob.take(hub.TypeCandidates, &g); g.Gen != 5 {
		t.Errorf("got gen %d, want the newest, 5", g.Gen)
	}
}

// 64 generations of an end, and one more a minute.
func TestCandidateBucket(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	for gen := range uint64(70) {
		alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: gen + 1, Sealed: []byte("x")})
		w.pass(time.Second)
		bob.k.Ping()
	}
	passed := 0
	for _, typ := range types(bob.events) {
		if typ == hub.TypeCandidates {
			passed++
		}
	}
	if passed != 65 {
		t.Errorf("%d generations in 70 s were passed on, want 64 and the one of the minute", passed)
	}
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	r, _ := begin(alice, bob)
	if got, _ := w.b.Sessions(identity.ID{}, everything); len(got) != 1 || got[0].State != "asked" || got[0].Dialer != alice.key.ID() || got[0].Listener != bob.key.ID() {
		t.Errorf("sessions: %+v", got)
	}
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	w.ok("end session", w.b.EndSession(identity.ID{}, r.Session))
	alice.take(hub.TypeClosed, new(hub.Closed))
	bob.take(hub.TypeClosed, new(hub.Closed))
	wantRefused(t, "end it again", w.b.EndSession(identity.ID{}, r.Session), hub.CodeNotFound)
}

// A session that was closed needs no memory until its time would be over, ten minutes later:
// members may begin several a second.
func TestClosedSessionMemory(t *testing.T) {
	w, alice, bob := pair(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	session := func() {
		w.now = w.now.Add(time.Second / 4)
		r, _ := begin(alice, bob)
		bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
		alice.take(hub.TypeCreated, new(hub.Created))
		alice.want(hub.TypeOK, hub.TypeClosed, &hub.Closed{Session: r.Session, Reason: "done"})
		alice.events, bob.events = nil, nil
	}
	const n, ofOne = 500, 1 << 10 // the public key in a request alone is longer
	session()
	before := heap()
	for range n {
		session()
	}
	if now := heap(); now > before+n*ofOne {
		t.Errorf("%d closed sessions have %d bytes each, want at most %d", n, (now-before)/n, ofOne)
	}
	runtime.KeepAlive(w)
}
