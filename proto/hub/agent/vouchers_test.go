package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func vouch(t *testing.T, by *identity.Key, v hub.Voucher) hub.Voucher {
	t.Helper()
	v, err := hub.NewVoucher(by, v)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A node shows its newest vouchers that hold at the hub, and keeps no old ones.
func TestVouchers(t *testing.T) {
	t.Parallel()
	k := agent.Vouchers{Dir: t.TempDir()}
	issuer, node, here, other := xtest.NewKey(t), xtest.NewKey(t).ID(), xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	now := time.Now()
	if err := os.WriteFile(filepath.Join(k.Dir, agent.VouchersFile), []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	add := func(v hub.Voucher, life time.Duration, at time.Time) hub.Voucher {
		v.Subject, v.Expires = node, at.Add(life)
		v = vouch(t, issuer, v)
		xtest.WantCode(t, "add", k.Add(v, at), proto.OK)
		return v
	}
	shown := func(at time.Time) (texts []string) {
		list, err := k.Shown(node, here, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range list {
			v, err := hub.ParseVoucher(text)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, v.Kind.String()+v.Text)
		}
		return texts
	}
	add(hub.Voucher{Kind: hub.VoucherAdmit}, time.Hour, now)
	add(hub.Voucher{Kind: hub.VoucherRoom, Text: "ops", Hub: other}, 1000*time.Hour, now)
	first := add(hub.Voucher{Kind: hub.VoucherName, Text: "bob", Hub: here}, 2*time.Hour, now)
	again := add(hub.Voucher{Kind: hub.VoucherName, Text: "bob", Hub: here}, 1000*time.Hour, now)
	if got, want := shown(now), []string{"admit", "namebob"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: none for another hub, and bob once", got, want)
	}
	if list, err := k.List(); err != nil || len(list) != 3 || list[2].ID != again.ID || list[2].ID == first.ID {
		t.Errorf("got %v, %v, want the later one of two that say the same", list, err)
	}
	if got, want := shown(now.Add(3*time.Hour)), []string{"namebob"}; !slices.Equal(got, want) {
		t.Errorf("after an hour: got %q, want %q", got, want)
	}
	for i := range hub.MaxVouchers {
		add(hub.Voucher{Kind: hub.VoucherRoom, Text: fmt.Sprint("r", i)}, time.Hour, now.Add(3*time.Hour))
	}
	if got := shown(now.Add(3 * time.Hour)); len(got) != hub.MaxVouchers || got[0] != "roomr0" {
		t.Errorf("got %q, want the newest %d", got, hub.MaxVouchers)
	}
	text, err := os.ReadFile(filepath.Join(k.Dir, agent.VouchersFile))
	if err != nil || !strings.HasPrefix(string(text), "# mine\n") {
		t.Errorf("got %q, %v, want the comment kept", text, err)
	}
	if list, err := k.List(); err != nil || len(list) != 2+hub.MaxVouchers {
		t.Errorf("got %d vouchers, %v, want %d without the expired one", len(list), err, 2+hub.MaxVouchers)
	}
	if _, err := k.Shown(xtest.NewKey(t).ID(), here, now); err != nil {
		t.Errorf("another node: %v", err)
	}
}

// An issuer is trusted with the kind, and the room, that its line names, and with nothing
// else.
func TestIssuers(t *testing.T) {
	t.Parallel()
	k := agent.Issuers{Dir: t.TempDir()}
	keys := map[string]*identity.Key{}
	for _, word := range []string{"", "name", "room:ops", "admit"} {
		keys[word] = xtest.NewKey(t)
		i, err := agent.ParseIssuer(strings.Fields(keys[word].ID().String() + " " + word))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time changes nothing
			xtest.WantCode(t, "add "+word, k.Add(i), proto.OK)
		}
	}
	if list, err := k.List(); err != nil || len(list) != len(keys) {
		t.Fatalf("got %v, %v, want %d issuers", list, err, len(keys))
	}
	node := xtest.NewKey(t).ID()
	for _, v := range []hub.Voucher{{Kind: hub.VoucherName, Text: "bob"}, {Kind: hub.VoucherRoom, Text: "ops"}, {Kind: hub.VoucherRoom, Text: "dev"}, {Kind: hub.VoucherAdmit}} {
		v.Subject, v.Expires = node, time.Now().Add(time.Hour)
		for word, key := range keys {
			want := map[string]string{"": "name", "name": "name", "room:ops": "room", "admit": "admit"}[word] == v.Kind.String() && v.Text != "dev"
			if got, err := k.Trusts(vouch(t, key, v)); got != want || err != nil {
				t.Errorf("issuer trusted with %q, voucher for %s %s: got %v, %v; want %v", word, v.Kind, v.Text, got, err, want)
			}
		}
		if got, err := k.Trusts(vouch(t, xtest.NewKey(t), v)); got || err != nil {
			t.Errorf("a stranger is trusted with %s (%v)", v.Kind, err)
		}
	}
	if found, err := k.Forget(keys["name"].ID()); !found || err != nil {
		t.Errorf("forget: got %v, %v", found, err)
	}
	if found, err := k.Forget(keys["name"].ID()); found || err != nil {
		t.Errorf("forget again: got %v, %v", found, err)
	}
	for _, line := range []string{"mk1x", node.String() + " all", node.String() + " room:", node.String() + " room:Ops", node.String() + " name admit"} {
		if err := os.WriteFile(filepath.Join(k.Dir, agent.IssuersFile), []byte("# x\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := k.List()
		xtest.WantCode(t, line, err, proto.Config)
		if err != nil && !strings.Contains(err.Error(), agent.IssuersFile+":2: ") {
			t.Errorf("%q: got %v, want file and line", line, err)
		}
	}
}

// A node that gets a voucher while it is logged in shows it with the next update, and is there
// all the time for others. An update without a new voucher leaves the connection as it is.
func TestUpdateVouchers(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	issuer, bob, alice := xtest.NewKey(t), member(t, h), member(t, h)
	var mu sync.Mutex
	var texts []string
	add := func(room string) {
		v := vouch(t, issuer, hub.Voucher{Kind: hub.VoucherRoom, Text: room, Subject: bob.ID(), Expires: time.Now().Add(time.Hour)})
		text, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		texts = append(texts, text)
	}
	registered, logins, losses := make(chan hub.Registered, 16), make(chan *agent.Conn, 16), make(chan error, 16)
	registers := []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
	a := agent.New(agent.Options{URL: h.URL(), Key: bob, Instance: hub.NewID(), Vouchers: func(identity.ID) []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(texts)
	}})
	a.Registers = registers
	a.OnLogin = func(c *agent.Conn) { logins <- c }
	a.OnRegistered = func(_ hub.Register, got hub.Registered) { registered <- got }
	a.OnState = func(err error) {
		if err != nil {
			losses <- err
		}
	}
	run(t, a)
	<-logins
	<-registered
	asker, _ := start(t, h.URL(), alice, nil)
	for want := range 3 {
		waitFor(t, "the name is registered with its vouchers", func() bool {
			c, err := asker.Lookup(t.Context(), "bob")
			return err == nil && c.Online && len(c.Vouchers) == want
		})
		a.Update(t.Context(), registers, nil, false)
		if len(logins) > 0 {
			t.Errorf("an update without a new voucher: got a login more")
		}
		add(fmt.Sprint("room", want))
		a.Update(t.Context(), registers, nil, false)
		<-logins
		<-registered
	}
	if len(losses) > 0 {
		t.Errorf("got the loss %v, want none: nobody was told of it", <-losses)
	}
}
