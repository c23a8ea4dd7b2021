package broker_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// invite makes an invite and returns what its bearer changes in the login.
func (w *world) invite(i broker.Invite) (key identity.ID, use func(l *hub.Login, h *hub.Hello)) {
	w.t.Helper()
	made := hub.NewInvite(hub.URL{TLS: true, Host: "h:443", Key: w.hub.ID()}, w.now.Add(24*time.Hour))
	i.Key = made.Key()
	i.Expires = made.Expires
	i.Uses = max(i.Uses, 1)
	w.ok("add invite", w.b.AddInvite("admin", i))
	return i.Key, func(l *hub.Login, h *hub.Hello) { h.Invite = l.SignJoin(made, h.Node) }
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member, stranger := w.member(), xtest.NewKey(t)
	for what, tt := range map[string]struct {
		key    *identity.Key
		change func(l *hub.Login, h *hub.Hello)
		code   int
	}{
		"stranger":         {stranger, nil, hub.CloseNoMember},
		"another's key":    {stranger, func(l *hub.Login, h *hub.Hello) { h.Node = member.ID() }, hub.CloseBadLogin},
		"another origin":   {member, func(l *hub.Login, h *hub.Hello) { l.Origin = "wss://other:443" }, hub.CloseBadLogin},
		"another hub":      {member, func(l *hub.Login, h *hub.Hello) { l.Hub = stranger.ID() }, hub.CloseBadLogin},
		"replayed":         {member, func(l *hub.Login, h *hub.Hello) { l.HubNonce = hub.NewNonce(32) }, hub.CloseBadLogin},
		"another binding":  {member, func(l *hub.Login, h *hub.Hello) { l.Binding = hub.NewNonce(32) }, hub.CloseBadLogin},
		"binding of zeros": {member, func(l *hub.Login, h *hub.Hello) { h.Binding = make([]byte, 32) }, hub.CloseBadLogin},
		"made-up invite":   {stranger, func(l *hub.Login, h *hub.Hello) { h.Invite = l.SignJoin(hub.Invite{Seed: [32]byte{7}}, h.Node) }, hub.CloseNoMember},
		"unsigned invite":  {stranger, func(l *hub.Login, h *hub.Hello) { h.Invite = &hub.Join{Key: stranger.ID(), Sig: make([]byte, 64)} }, hub.CloseNoMember},
	} {
		_, err := w.login(tt.key, hub.NewID(), tt.change)
		wantDenied(t, what, err, tt.code)
	}
	if n := w.b.Count(); n.Connections != 0 || n.Members != 1 {
		t.Errorf("after refused logins: %+v", n)
	}
}

func TestInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, use := w.invite(broker.Invite{Name: "bob", Uses: 2, ForS: 3600})
	bob, carol, dave := xtest.NewKey(t), xtest.NewKey(t), xtest.NewKey(t)
	first, err := w.login(bob, hub.NewID(), use)
	w.ok("first use", err)
	var hello hub.Welcome
	if first.take(hub.TypeWelcome, &hello); hello.Name != "bob" || hello.ExpiresS != 3600 || hello.Observed != source.String() {
		t.Errorf("welcome: %+v", hello)
	}
	if _, err := w.login(bob, hub.NewID(), use); err != nil {
		t.Errorf("the same node with the same invite: %v", err)
	}
	if _, err := w.login(carol, hub.NewID(), use); err != nil {
		t.Errorf("second use: %v", err)
	}
	_, err = w.login(dave, hub.NewID(), use)
	wantDenied(t, "third use", err, hub.CloseNoMember)
	if names, _ := w.b.Names(identity.ID{}, everything); len(names) != 1 || names[0].Node != bob.ID() {
		t.Errorf("names: %+v, want bob's", names)
	}
	log, err := w.b.Log(0, 10)
	if err != nil || len(log) != 3 || log[1].By != "invite:"+key.String() || log[1].Node != bob.ID() || log[1].Op != "join" {
		t.Errorf("log: %+v, %v", log, err)
	}
	w.restart()
	if _, err := w.login(bob, hub.NewID(), nil); err != nil {
		t.Errorf("a member after a restart: %v", err)
	}
	w.pass(time.Hour + hub.DateSlack - time.Second)
	if _, err := w.login(bob, hub.NewID(), nil); err != nil {
		t.Errorf("a member at the end of its time: %v", err)
	}
	w.pass(2 * time.Second)
	_, err = w.login(bob, hub.NewID(), nil)
	wantDenied(t, "a member after its time", err, hub.CloseNoMember)
}

func TestInviteEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, use := w.invite(broker.Invite{})
	w.pass(24*time.Hour + hub.DateSlack)
	_, err := w.login(xtest.NewKey(t), hub.NewID(), use)
	wantDenied(t, "after its end", err, hub.CloseNoMember)
	key, use := w.invite(broker.Invite{})
	w.ok("remove", w.b.RemoveInvite("admin", key))
	_, err = w.login(xtest.NewKey(t), hub.NewID(), use)
	wantDenied(t, "taken back", err, hub.CloseNoMember)
	wantRefused(t, "taken back twice", w.b.RemoveInvite("admin", key), hub.CodeNotFound)
}

func TestInviteLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := broker.Invite{Key: [32]byte{1}, Uses: 100, Expires: w.now.Add(broker.MaxInviteLife)}
	for what, tt := range map[string]struct {
		change func(i *broker.Invite)
		code   string
	}{
		"no use":    {func(i *broker.Invite) { i.Uses = 0 }, hub.CodeLimit},
		"101 uses":  {func(i *broker.Invite) { i.Uses = 101 }, hub.CodeLimit},
		"over":      {func(i *broker.Invite) { i.Expires = w.now }, hub.CodeLimit},
		"a month":   {func(i *broker.Invite) { i.Expires = i.Expires.Add(time.Second) }, hub.CodeLimit},
		"backwards": {func(i *broker.Invite) { i.ForS = -1 }, hub.CodeLimit},
		"capitals":  {func(i *broker.Invite) { i.Name = "Bob" }, hub.CodeBadName},
	} {
		i := good
		tt.change(&i)
		wantRefused(t, what, w.b.AddInvite("admin", i), tt.code)
	}
	for n := range broker.MaxInvites {
		i := good
		i.Key[1] = byte(n)
		w.ok("invite", w.b.AddInvite("admin", i))
	}
	i := good
	i.Key[2] = 1
	wantRefused(t, "the 101st", w.b.AddInvite("admin", i), hub.CodeLimit)
}

// A node that is removed is disconnected at once, and neither its key nor its invite
// lets it in again.
func TestRemoveMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, use := w.invite(broker.Invite{Name: "bob", Uses: 5})
	key := xtest.NewKey(t)
	bob, err := w.login(key, hub.NewID(), use, lasting("bob"))
	w.ok("log in", err)
	alice := w.online(w.member())
	r, _ := begin(alice, bob)
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	w.ok("remove", w.b.RemoveMember("admin", key.ID()))
	if bob.code != hub.CloseNoMember {
		t.Errorf("closed with %d, want %d", bob.code, hub.CloseNoMember)
	}
	alice.take(hub.TypeClosed, new(hub.Closed))
	alice.want(hub.CodeNotFound, hub.TypeRequest, alice.request("bob"))
	for range 2 {
		_, err = w.login(key, hub.NewID(), use)
		wantDenied(t, "the old key", err, hub.CloseNoMember)
		_, err = w.login(xtest.NewKey(t), hub.NewID(), use)
		wantDenied(t, "a new key and the old invite", err, hub.CloseNoMember)
		w.restart()
	}
	other := w.online(w.member())
	other.want(hub.CodeTaken, hub.TypeRegister, new(lasting("bob")))
	w.pass(broker.KeptFor)
	other = w.online(other.key)
	other.want(hub.TypeRegistered, hub.TypeRegister, new(lasting("bob")))
	w.ok("add again", w.b.AddMember("admin", key.ID(), time.Time{}))
	w.online(key)
	wantRefused(t, "remove nobody", w.b.RemoveMember("admin", xtest.NewKey(t).ID()), hub.CodeNotFound)
}

func TestBan(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"node", "address", "network", "large network", "everywhere"} {
		w := newWorld(t)
		key := w.member()
		p := w.online(key)
		what := map[string]string{"node": key.ID().String(), "address": "192.0.2.9", "network": "192.0.2.0/24", "large network": "128.0.0.0/1", "everywhere": "0.0.0.0/0"}[kind]
		w.ok("ban of others", errors.Join(w.b.AddBan("admin", "192.0.2.10"), w.b.AddBan("admin", "192.0.3.0/24"), w.b.AddBan("admin", "2001:db8::/32")))
		w.online(key)
		w.ok("ban", w.b.AddBan("admin", what))
		if closed := p.code == hub.CloseNoMember; closed != (kind == "node") {
			t.Errorf("%s: closed with %d", kind, p.code)
		}
		w.restart()
		_, err := w.login(key, hub.NewID(), nil)
		wantDenied(t, kind, err, hub.CloseNoMember)
		w.ok("end ban", w.b.RemoveBan("admin", what))
		w.online(key)
	}
	w := newWorld(t)
	for _, what := range []string{"", "mk1x", "192.0.2.9/24", "bob"} {
		if err := w.b.AddBan("admin", what); err == nil {
			t.Errorf("%q is banned", what)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, admin, banned := xtest.NewKey(t), xtest.NewKey(t), w.member()
	online := w.online(banned)
	access, err := broker.ParseAccess("# who may log in\nmember " + file.ID().String() + " until=2030-01-02 # laptop\n\nadmin " + admin.ID().String() +
		"\nban " + banned.ID().String() + "\nban 203.0.113.0/24\nreserve www " + admin.ID().String() + "\n")
	w.ok("parse", err)
	w.b.SetAccess(access)
	if online.code != hub.CloseNoMember {
		t.Errorf("the banned node is closed with %d", online.code)
	}
	p := w.online(file)
	p.want(hub.CodeReserved, hub.TypeRegister, new(lasting("www")))
	w.online(admin).want(hub.TypeRegistered, hub.TypeRegister, new(lasting("www")))
	if !w.b.IsAdmin(admin.ID()) || w.b.IsAdmin(file.ID()) {
		t.Errorf("admin: %v %v, want true false", w.b.IsAdmin(admin.ID()), w.b.IsAdmin(file.ID()))
	}
	if !w.b.Blocked(netip.MustParseAddr("203.0.113.7")) || w.b.Blocked(netip.MustParseAddr("203.0.114.7")) {
		t.Error("the banned network")
	}
	w.pass(24*time.Hour + hub.DateSlack)
	_, err = w.login(file, hub.NewID(), nil)
	wantDenied(t, "after until=", err, hub.CloseNoMember)
	p = w.online(admin)
	w.b.SetAccess(broker.Access{})
	if p.code != hub.CloseNoMember {
		t.Errorf("a member that the file names no more is closed with %d", p.code)
	}
}

func TestBadAccess(t *testing.T) {
	t.Parallel()
	id := xtest.NewKey(t).ID().String()
	for _, line := range []string{"member", "member mk1x", "friend " + id, "member " + id + " x", "member " + id + " until=tomorrow", "admin " + id + " until=2030-01-01", "ban", "ban 1.2.3.4/8", "ban bob", "reserve www", "reserve WWW " + id, "reserve www mk1x"} {
		_, err := broker.ParseAccess("# first\n" + line + "\n")
		if err == nil || !slices.Contains([]string{"hub_access, line 2: "}, err.Error()[:min(20, len(err.Error()))]) {
			t.Errorf("%q: got %v, want an error with its line", line, err)
		}
	}
}
