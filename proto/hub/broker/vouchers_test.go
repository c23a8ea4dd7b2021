package broker_test

import (
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

// voucher returns the text of a voucher, and its id.
func (w *world) voucher(by *identity.Key, v hub.Voucher) (text string, id token.ID) {
	w.t.Helper()
	if v.Expires.IsZero() {
		v.Expires = w.now.Add(time.Hour)
	}
	v, err := hub.NewVoucher(by, v)
	w.ok("voucher", err)
	text, err = v.Encode()
	w.ok("voucher", err)
	return text, v.ID
}

// access sets hub_access.
func (w *world) access(text string) {
	w.t.Helper()
	a, err := broker.ParseAccess(text)
	w.ok("hub_access", err)
	w.b.SetAccess(a)
}

// showing makes a hello show vouchers.
func showing(texts ...string) func(*hub.Login, *hub.Hello) {
	return func(_ *hub.Login, h *hub.Hello) { h.Vouchers = texts }
}

// The vouchers of a node are shown to who asks for it, and no others.
func TestVouchersShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice, issuer := w.member(), w.member(), xtest.NewKey(t)
	mine, _ := w.voucher(issuer, hub.Voucher{Kind: hub.VoucherName, Subject: bob.ID(), Text: "bob"})
	foreign, _ := w.voucher(issuer, hub.Voucher{Kind: hub.VoucherName, Subject: alice.ID(), Text: "alice"})
	b, err := w.login(bob, hub.NewID(), showing(foreign, mine, "mv1abc", mine[:len(mine)-1]), lasting("bob"))
	w.ok("log in", err)
	a := w.online(alice)
	check := func(what string, got []string) {
		t.Helper()
		if len(got) != 1 || got[0] != mine {
			t.Errorf("%s shows %q, want the node's own voucher %q", what, got, mine)
		}
	}
	for _, who := range []string{"bob", bob.ID().String()} {
		var p hub.Peer
		w.ok("lookup", a.ask(hub.TypeLookup, &hub.Lookup{Peer: who}).Read(&p))
		check("lookup of "+who, p.Vouchers)
	}
	r := a.request("bob")
	r.Vouchers = []string{foreign}
	a.want(hub.TypeOK, hub.TypeRequest, r)
	var o hub.Offer
	b.take(hub.TypeOffer, &o)
	if len(o.Request.Vouchers) != 1 || o.Request.Vouchers[0] != foreign {
		t.Errorf("the offer shows %q, want what the dialer has shown", o.Request.Vouchers)
	}
	b.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	var c hub.Created
	a.take(hub.TypeCreated, &c)
	check("created", c.Vouchers)
	b.again(named("bob"))
	var p hub.Peer
	w.ok("lookup", a.ask(hub.TypeLookup, &hub.Lookup{Peer: "bob"}).Read(&p))
	if len(p.Vouchers) > 0 {
		t.Errorf("after a login that shows none: got %q", p.Vouchers)
	}
}

// An event shows 8 vouchers of 768 characters at most.
func TestVoucherLimits(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		list []string
		ok   bool
	}{
		"8":                   {make([]string, hub.MaxVouchers), true},
		"9":                   {make([]string, hub.MaxVouchers+1), false},
		"one of 768":          {[]string{strings.Repeat("a", hub.MaxVoucherBytes)}, true},
		"one of 769":          {[]string{strings.Repeat("a", hub.MaxVoucherBytes+1)}, false},
		"one that is no UTF8": {[]string{"\xff"}, false},
	} {
		h := &hub.Hello{
			Node: xtest.NewKey(t).ID(), Instance: hub.NewID(), Binding: hub.NewNonce(32), Sig: make([]byte, hub.SignatureBytes), Vouchers: c.list,
		}
		if _, err := hub.New(hub.TypeHello, h); (err == nil) != c.ok {
			t.Errorf("%s: got %v, want taken %v", what, err, c.ok)
		}
	}
}

// An admit voucher by an issuer in hub_access makes a member, and nothing else does.
func TestVoucherAdmits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer, stranger, other := xtest.NewKey(t), xtest.NewKey(t), xtest.NewKey(t).ID()
	w.access("issuer " + issuer.ID().String())
	for what, c := range map[string]struct {
		by   *identity.Key
		v    hub.Voucher
		same bool // about the node that logs in
		ok   bool
	}{
		"for any hub":        {issuer, hub.Voucher{Kind: hub.VoucherAdmit}, true, true},
		"for this hub":       {issuer, hub.Voucher{Kind: hub.VoucherAdmit, Hub: w.hub.ID()}, true, true},
		"for another hub":    {issuer, hub.Voucher{Kind: hub.VoucherAdmit, Hub: other}, true, false},
		"by a stranger":      {stranger, hub.Voucher{Kind: hub.VoucherAdmit}, true, false},
		"a name":             {issuer, hub.Voucher{Kind: hub.VoucherName, Text: "bob"}, true, false},
		"a room":             {issuer, hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}, true, false},
		"about another node": {issuer, hub.Voucher{Kind: hub.VoucherAdmit}, false, false},
		"just expired":       {issuer, hub.Voucher{Kind: hub.VoucherAdmit, Expires: w.now.Add(time.Second - hub.DateSlack)}, true, true},
		"expired":            {issuer, hub.Voucher{Kind: hub.VoucherAdmit, Expires: w.now.Add(-hub.DateSlack)}, true, false},
	} {
		node := xtest.NewKey(t)
		if c.v.Subject = other; c.same {
			c.v.Subject = node.ID()
		}
		text, _ := w.voucher(c.by, c.v)
		p, err := w.login(node, hub.NewID(), showing("mv1", text))
		if !c.ok {
			wantDenied(t, what, err, hub.CloseNoMember)
			continue
		}
		w.ok(what, err)
		var welcome hub.Welcome
		p.take(hub.TypeWelcome, &welcome)
		if p.want(hub.TypePeer, hub.TypeLookup, &hub.Lookup{Peer: node.ID().String()}); welcome.ExpiresS > 3600 {
			t.Errorf("%s: the membership ends in %d s, want that of the voucher", what, welcome.ExpiresS)
		}
	}
}

// A membership by a voucher ends with the voucher, with the line of its issuer, with a ban
// and by an admin, and the voucher does not bring it back.
func TestVoucherTakenBack(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(w *world, node identity.ID, id token.ID){
		"issuer's line": func(w *world, _ identity.ID, _ token.ID) { w.access("") },
		"ban":           func(w *world, n identity.ID, _ token.ID) { w.ok("ban", w.b.AddBan("admin", n.String())) },
		"removed":       func(w *world, n identity.ID, _ token.ID) { w.ok("remove", w.b.RemoveMember("admin", n)) },
		"revoked": func(w *world, _ identity.ID, id token.ID) {
			w.revoked = id
			w.b.Recheck()
		},
		"over": func(w *world, _ identity.ID, _ token.ID) {
			w.now = w.now.Add(2 * time.Hour)
			w.b.Recheck()
		},
	} {
		w := newWorld(t)
		issuer, node := xtest.NewKey(t), xtest.NewKey(t)
		w.access("issuer " + issuer.ID().String())
		text, id := w.voucher(issuer, hub.Voucher{Kind: hub.VoucherAdmit, Subject: node.ID()})
		p, err := w.login(node, hub.NewID(), showing(text), lasting("bob"))
		w.ok(what, err)
		if end(w, node.ID(), id); p.code != hub.CloseNoMember {
			t.Errorf("%s: closed with %d, want %d", what, p.code, hub.CloseNoMember)
		}
		_, err = w.login(node, hub.NewID(), showing(text))
		wantDenied(t, what+", again", err, hub.CloseNoMember)
	}
}

// A restarted hub takes the voucher again.
func TestVoucherAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer, node := xtest.NewKey(t), xtest.NewKey(t)
	text, _ := w.voucher(issuer, hub.Voucher{Kind: hub.VoucherAdmit, Subject: node.ID()})
	for range 2 {
		w.access("issuer " + issuer.ID().String())
		_, err := w.login(node, hub.NewID(), showing(text), lasting("bob"))
		w.ok("log in", err)
		w.restart()
	}
}

// joining logs a node in with an invite, and returns what the hub says about that.
func (w *world) joining(key *identity.Key, i hub.Invite) (hub.Welcome, error) {
	w.t.Helper()
	var welcome hub.Welcome
	p, err := w.login(key, hub.NewID(), func(l *hub.Login, h *hub.Hello) { h.Invite = l.SignJoin(i, key.ID()) })
	if err == nil {
		p.take(hub.TypeWelcome, &welcome)
	}
	return welcome, err
}

// The voucher of an invite counts for the node that has joined with it, by the hub's word,
// and for nobody else who has the invite. Taking the invite back by its id ends all of it,
// also after it was used up.
func TestInviteChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer := xtest.NewKey(t)
	i := hub.NewInvite(hub.URL{TLS: true, Host: "h:443", Key: w.hub.ID()}, w.now.Add(time.Hour))
	w.ok("vouch", i.Vouch(issuer, "", w.now.Add(365*24*time.Hour)))
	fact := broker.Invite{Key: i.Key(), Expires: i.Expires, Uses: 2, ForS: 7 * 24 * 3600, Voucher: i.Voucher.ID, Ends: i.Voucher.Expires}
	w.ok("add invite", w.b.AddInvite("admin", fact))
	first, second, thief := xtest.NewKey(t), xtest.NewKey(t), xtest.NewKey(t)
	var links []string
	for _, k := range []*identity.Key{first, second, first} { // the last one has lost the answer
		welcome, err := w.joining(k, i)
		w.ok("join", err)
		if welcome.Joined == nil {
			t.Fatal("the hub does not say that the node has joined")
		}
		if got, want := welcome.Joined.Until, uint64(w.now.Add(7*24*time.Hour).Unix()); got != want {
			t.Errorf("joined until %d, want the end of the membership, %d", got, want)
		}
		v := i.Voucher.HandOn(i, k.ID(), *welcome.Joined)
		w.ok("check", v.Check(k.ID(), w.hub.ID(), w.now))
		text, err := v.Encode()
		w.ok("encode", err)
		links = append(links, text)
	}
	_, err := w.joining(thief, i)
	wantDenied(t, "a third node with the invite", err, hub.CloseNoMember)
	forged := i.Voucher.HandOn(i, thief.ID(), *hub.SignJoined(thief, i.Key(), thief.ID(), i.Voucher.Expires))
	thiefs, err := forged.Encode()
	w.ok("encode", err)

	// A hub with the same key that has lost its facts.
	w.store.facts = map[string][]byte{}
	w.restart()
	w.access("issuer " + issuer.ID().String())
	_, err = w.login(first, hub.NewID(), showing(links[0]))
	w.ok("by the second link", err)
	_, err = w.login(thief, hub.NewID(), showing(thiefs, links[0]))
	wantDenied(t, "a second link without the hub's word", err, hub.CloseNoMember)

	w.ok("add invite", w.b.AddInvite("admin", fact))
	p, err := w.login(second, hub.NewID(), showing(links[1]))
	w.ok("by the second link", err)
	w.pass(2 * time.Hour) // the invite is over, its voucher is not
	w.ok("another invite", w.b.AddInvite("admin", broker.Invite{Key: thief.ID(), Expires: w.now.Add(time.Hour), Uses: 1}))
	p = p.again()
	w.ok("take back", w.b.RemoveInvite("admin", i.Key()))
	if p.code != hub.CloseNoMember {
		t.Errorf("taken back: closed with %d, want %d", p.code, hub.CloseNoMember)
	}
	for n, k := range []*identity.Key{first, second} {
		_, err = w.login(k, hub.NewID(), showing(links[n]))
		wantDenied(t, "after the invite was taken back", err, hub.CloseNoMember)
	}
}

// The hub gives no word to whom the invite made no member, for an invite without a voucher,
// or for one that is revoked.
func TestNotJoined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer := xtest.NewKey(t)
	for what, prepare := range map[string]func(f *broker.Invite, node identity.ID){
		"no voucher": func(f *broker.Invite, _ identity.ID) { f.Voucher, f.Ends = token.ID{}, time.Time{} },
		"revoked":    func(f *broker.Invite, _ identity.ID) { w.revoked = f.Voucher },
		"a member before": func(_ *broker.Invite, node identity.ID) {
			w.ok("add member", w.b.AddMember("admin", node, time.Time{}))
		},
	} {
		i, key := hub.NewInvite(hub.URL{TLS: true, Host: "h:443", Key: w.hub.ID()}, w.now.Add(time.Hour)), xtest.NewKey(t)
		w.ok("vouch", i.Vouch(issuer, "", w.now.Add(time.Hour)))
		f := broker.Invite{Key: i.Key(), Expires: i.Expires, Uses: 1, Voucher: i.Voucher.ID, Ends: i.Voucher.Expires}
		prepare(&f, key.ID())
		w.ok("add invite", w.b.AddInvite("admin", f))
		welcome, err := w.joining(key, i)
		w.ok("join", err)
		if welcome.Joined != nil {
			t.Errorf("%s: got the hub's word, want none", what)
		}
	}
}
