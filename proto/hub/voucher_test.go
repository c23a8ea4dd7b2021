package hub_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

var update = flag.Bool("update", false, "write the vectors anew")

// chain is an issuer, a hub and a node, and an invite that carries a voucher.
type chain struct {
	issuer, hub, node *identity.Key
	invite            hub.Invite
	expires           time.Time
}

func newChain(t testing.TB) *chain {
	t.Helper()
	c := &chain{issuer: xtest.NewKey(t), hub: xtest.NewKey(t), node: xtest.NewKey(t), expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.invite = newInvite(t, "wss://hub.example")
	c.invite.URL.Key = c.hub.ID()
	return c
}

// vouch returns a voucher about the node, for any hub.
func (c *chain) vouch(t testing.TB, kind hub.VoucherKind, text string) hub.Voucher {
	t.Helper()
	return c.vouchFor(t, hub.Voucher{Kind: kind, Subject: c.node.ID(), Expires: c.expires, Text: text})
}

func (c *chain) vouchFor(t testing.TB, v hub.Voucher) hub.Voucher {
	t.Helper()
	v, err := hub.NewVoucher(c.issuer, v)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// handedOn returns a voucher for the name bob with a second link.
func (c *chain) handedOn(t testing.TB) hub.Voucher {
	t.Helper()
	v := c.vouchFor(t, hub.Voucher{Kind: hub.VoucherName, Subject: c.invite.Key(), Hub: c.hub.ID(), Expires: c.expires, Text: "bob"})
	return v.HandOn(c.invite, c.node.ID(), *hub.SignJoined(c.hub, c.invite.Key(), c.node.ID(), c.expires))
}

// vouched returns the invite with a voucher of the issuer.
func (c *chain) vouched(t testing.TB, name string) hub.Invite {
	t.Helper()
	i := c.invite
	if err := i.Vouch(c.issuer, name, c.expires); err != nil {
		t.Fatal(err)
	}
	return i
}

// An invite carries the voucher of an issuer about itself, and no other one.
func TestVouchedInvite(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	for name, kind := range map[string]hub.VoucherKind{"bob": hub.VoucherName, "": hub.VoucherAdmit} {
		i := c.vouched(t, name)
		text, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := hub.ParseInvite(text)
		if err != nil || got.Voucher == nil {
			t.Fatalf("read again: got %+v, %v", got, err)
		}
		if v := got.Voucher; v.Kind != kind || v.Text != name || v.Issuer != c.issuer.ID() || v.Subject != i.Key() || v.Hub != c.hub.ID() || !v.Expires.Equal(c.expires) {
			t.Errorf("got %+v, want one by the issuer about the invite, for its hub", v)
		}
		xtest.WantCode(t, "the invite alone", got.Voucher.Check(c.node.ID(), c.hub.ID(), c.expires), proto.Denied)
		v := got.Voucher.HandOn(got, c.node.ID(), *hub.SignJoined(c.hub, got.Key(), c.node.ID(), c.expires))
		xtest.WantCode(t, "handed on", v.Check(c.node.ID(), c.hub.ID(), c.expires), proto.OK)
		other := xtest.NewKey(t).ID()
		forged := got.Voucher.HandOn(got, other, v.Link.Joined)
		xtest.WantCode(t, "handed on to a node that has not joined", forged.Check(other, c.hub.ID(), c.expires), proto.Denied)
		for at := 100; at < len(text); at += 7 {
			c := byte('a')
			if text[at] == c {
				c = 'b'
			}
			_, err := hub.ParseInvite(text[:at] + string(c) + text[at+1:])
			xtest.WantCode(t, "damaged", err, proto.Usage)
		}
	}
	for what, change := range map[string]func(i *hub.Invite){
		"about a node":      func(i *hub.Invite) { v := c.vouch(t, hub.VoucherAdmit, ""); i.Voucher = &v },
		"for any hub":       func(i *hub.Invite) { i.Voucher.Hub = identity.ID{} },
		"for another hub":   func(i *hub.Invite) { i.Voucher.Hub = c.node.ID() },
		"for a room":        func(i *hub.Invite) { i.Voucher.Kind, i.Voucher.Text = hub.VoucherRoom, "ops" },
		"with another text": func(i *hub.Invite) { i.Voucher.Text = "alice" },
		"handed on":         func(i *hub.Invite) { v := c.handedOn(t); i.Voucher = &v },
	} {
		i := c.vouched(t, "bob")
		change(&i)
		if text, err := i.Encode(); err == nil {
			t.Errorf("a voucher %s: written as %q", what, text)
		}
	}
}

// A voucher is read as it was written, and damage is never taken for another one.
func TestVoucherText(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	for _, v := range []hub.Voucher{
		c.vouch(t, hub.VoucherName, strings.Repeat("n", hub.MaxNameBytes)), c.vouch(t, hub.VoucherRoom, "ops"), c.vouch(t, hub.VoucherAdmit, ""), c.handedOn(t),
	} {
		text, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if most := map[bool]int{false: 512, true: hub.MaxVoucherBytes}[v.Link != nil]; len(text) > most {
			t.Errorf("%v: %d characters, want at most %d", v.Kind, len(text), most)
		}
		got, err := hub.ParseVoucher(text)
		if err != nil {
			t.Fatalf("%v: %v", v.Kind, err)
		}
		if err := got.Check(c.node.ID(), c.hub.ID(), c.expires); err != nil {
			t.Errorf("%v: read again: %v", v.Kind, err)
		}
		for at := 0; at < len(text); at += 3 {
			other := byte('a')
			if text[at] == other {
				other = 'b'
			}
			for what, damaged := range map[string]string{"changed": text[:at] + string(other) + text[at+1:], "cut": text[:at], "gap": text[:at] + text[at+1:]} {
				_, err := hub.ParseVoucher(damaged)
				xtest.WantCode(t, what, err, proto.Usage)
				if err != nil && at > 20 && strings.Contains(err.Error(), text[5:15]) {
					t.Errorf("the error repeats the voucher: %v", err)
				}
			}
		}
	}
}

// Each field of a voucher has one form. What does not have it is neither made nor read.
func TestVoucherForm(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	good := hub.Voucher{Kind: hub.VoucherName, Subject: c.node.ID(), Expires: c.expires, Text: "bob"}
	for what, change := range map[string]func(v *hub.Voucher){
		"kind 0":            func(v *hub.Voucher) { v.Kind = 0 },
		"kind 4":            func(v *hub.Voucher) { v.Kind = 4 },
		"no subject":        func(v *hub.Voucher) { v.Subject = identity.ID{} },
		"no end":            func(v *hub.Voucher) { v.Expires = time.Unix(0, 0) },
		"an end after 9999": func(v *hub.Voucher) { v.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no name":           func(v *hub.Voucher) { v.Text = "" },
		"capitals":          func(v *hub.Voucher) { v.Text = "Bob" },
		"64 letters":        func(v *hub.Voucher) { v.Text = strings.Repeat("n", hub.MaxNameBytes+1) },
		"a code as a name":  func(v *hub.Voucher) { v.Text = "7-guitar-crossover-lunar" },
		"no room":           func(v *hub.Voucher) { v.Kind, v.Text = hub.VoucherRoom, "" },
		"admit with text":   func(v *hub.Voucher) { v.Kind = hub.VoucherAdmit },
	} {
		v := good
		change(&v)
		if got, err := hub.NewVoucher(c.issuer, v); err == nil {
			t.Errorf("%s: made %+v", what, got)
		}
		v.Issuer, v.Sig = c.issuer.ID(), make([]byte, hub.SignatureBytes)
		if text, err := v.Encode(); err == nil {
			t.Errorf("%s: written as %q", what, text)
		}
		if what == "64 letters" || what == "an end after 9999" || what == "kind 0" || what == "no end" {
			_, err := hub.ParseVoucher(mv1(rawVoucher(v, nil)))
			xtest.WantCode(t, what, err, proto.Usage)
		}
	}
	linked := c.handedOn(t)
	linked.Hub = identity.ID{}
	if text, err := linked.Encode(); err == nil {
		t.Errorf("a second link for any hub: written as %q", text)
	}
	whole := rawVoucher(c.handedOn(t), c.handedOn(t).Link)
	for what, b := range map[string][]byte{"one byte more": append(whole[:len(whole):len(whole)], 0), "one byte less": whole[:len(whole)-1]} {
		_, err := hub.ParseVoucher(mv1(b))
		xtest.WantCode(t, what, err, proto.Usage)
	}
}

// What a voucher does not say is refused, each for its own reason.
func TestVoucherRefused(t *testing.T) {
	t.Parallel()
	c, other := newChain(t), xtest.NewKey(t)
	elsewhere := hub.Voucher{Kind: hub.VoucherName, Subject: c.node.ID(), Hub: other.ID(), Expires: c.expires, Text: "bob"}
	here := elsewhere
	here.Hub = c.hub.ID()
	linked := func(change func(l *hub.SecondLink)) hub.Voucher {
		v := c.handedOn(t)
		change(v.Link)
		return v
	}
	at := func(d time.Duration) time.Time { return c.expires.Add(d) }
	for _, tt := range []struct {
		what string
		v    hub.Voucher
		now  time.Time
		want string // "" if it holds
	}{
		{"for any hub", c.vouch(t, hub.VoucherName, "bob"), at(-time.Hour), ""},
		{"for this hub", c.vouchFor(t, here), at(-time.Hour), ""},
		{"for another hub", c.vouchFor(t, elsewhere), at(-time.Hour), "another hub"},
		{"just expired", c.vouch(t, hub.VoucherName, "bob"), at(0), ""},
		{"at the end of the slack", c.vouch(t, hub.VoucherName, "bob"), at(hub.DateSlack - time.Second), ""},
		{"after the slack", c.vouch(t, hub.VoucherName, "bob"), at(hub.DateSlack), "expired"},
		{"about another node", c.vouchFor(t, hub.Voucher{Kind: hub.VoucherAdmit, Subject: other.ID(), Expires: c.expires}), at(-1), "another node"},
		{"another text", func() hub.Voucher { v := c.vouch(t, hub.VoucherName, "bob"); v.Text = "alice"; return v }(), at(-1), "not signed by its issuer"},
		{"another kind", func() hub.Voucher { v := c.vouch(t, hub.VoucherRoom, "bob"); v.Kind = hub.VoucherName; return v }(), at(-1), "not signed by its issuer"},
		{"a later end", func() hub.Voucher { v := c.vouch(t, hub.VoucherName, "bob"); v.Expires = at(1e9); return v }(), at(-1), "not signed by its issuer"},
		{"another hub's widened", func() hub.Voucher { v := c.vouchFor(t, elsewhere); v.Hub = identity.ID{}; return v }(), at(-1), "not signed by its issuer"},
		{"another issuer", func() hub.Voucher { v := c.vouch(t, hub.VoucherName, "bob"); v.Issuer = other.ID(); return v }(), at(-1), "not signed by its issuer"},
		{"another id", func() hub.Voucher { v := c.vouch(t, hub.VoucherName, "bob"); v.ID = token.ID{1}; return v }(), at(-1), "not signed by its issuer"},

		{"a second link", c.handedOn(t), at(-time.Hour), ""},
		{"without the hub's word", linked(func(l *hub.SecondLink) { l.Joined.Sig = make([]byte, hub.SignatureBytes) }), at(-1), "joined with the invite"},
		{"joined at another hub", linked(func(l *hub.SecondLink) { l.Joined = *hub.SignJoined(other, c.invite.Key(), c.node.ID(), c.expires) }), at(-1), "joined with the invite"},
		{"another node joined", linked(func(l *hub.SecondLink) { l.Joined = *hub.SignJoined(c.hub, c.invite.Key(), other.ID(), c.expires) }), at(-1), "joined with the invite"},
		{"joined by another invite", linked(func(l *hub.SecondLink) { l.Joined = *hub.SignJoined(c.hub, other.ID(), c.node.ID(), c.expires) }), at(-1), "joined with the invite"},
		{"joined for longer", linked(func(l *hub.SecondLink) { l.Joined.Until++ }), at(-1), "joined with the invite"},
		{"not signed by the seed", linked(func(l *hub.SecondLink) { l.Sig = flip(l.Sig) }), at(-1), "signed by the invite"},
		{"membership is over", linked(func(l *hub.SecondLink) {
			l.Joined = *hub.SignJoined(c.hub, c.invite.Key(), c.node.ID(), at(-time.Hour))
		}), at(hub.DateSlack - time.Hour), "expired"},
		{"about the invite itself", func() hub.Voucher { v := c.handedOn(t); v.Link = nil; return v }(), at(-1), "another node"},
	} {
		err := tt.v.Check(c.node.ID(), c.hub.ID(), tt.now)
		if tt.want == "" {
			xtest.WantCode(t, tt.what, err, proto.OK)
			continue
		}
		xtest.WantCode(t, tt.what, err, proto.Denied)
		wantError(t, tt.what, err, tt.want)
	}
}

// rawVoucher returns the bytes of a voucher as the comment of [hub.Voucher] says, without
// the code of package hub.
func rawVoucher(v hub.Voucher, l *hub.SecondLink) []byte {
	b := append([]byte{byte(v.Kind)}, v.ID[:]...)
	b = append(append(append(b, v.Issuer[:]...), v.Subject[:]...), v.Hub[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(v.Expires.Unix()))
	b = append(append(append(b, byte(len(v.Text))), v.Text...), v.Sig...)
	if l != nil {
		b = append(append(b, l.Node[:]...), l.Sig...)
		b = append(binary.BigEndian.AppendUint64(b, l.Joined.Until), l.Joined.Sig...)
	}
	return b
}

// mv1 returns the text of a voucher's bytes, with the right checksum.
func mv1(b []byte) string {
	sum := sha256.Sum256(append([]byte("mv1"), b...))
	text := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	return "mv1" + text.EncodeToString(append(b[:len(b):len(b)], sum[:4]...))
}

// keyOf returns the node key with a seed of 32 equal bytes.
func keyOf(t *testing.T, b byte) (*identity.Key, ed25519.PrivateKey) {
	t.Helper()
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(b), ed25519.SeedSize)))
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "node.key")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := identity.LoadKeyFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return key, private
}

// s is S of the comment of package hub.
func s(key ed25519.PrivateKey, label string, parts ...[]byte) []byte {
	b := []byte("mesh-hub/1 " + label + "\x00")
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return ed25519.Sign(key, b)
}

// The file has vouchers and an invite chain, made without the code of package hub. The keys have seeds
// of equal bytes: issuer 1, hub 2, node 3, invite 4.
func TestVoucherVectors(t *testing.T) {
	t.Parallel()
	issuer, issuerKey := keyOf(t, 1)
	hubID, hubKey := keyOf(t, 2)
	node, _ := keyOf(t, 3)
	seed, seedKey := keyOf(t, 4)
	expires := time.Unix(1893553445, 0)
	vouch := func(v hub.Voucher) hub.Voucher {
		v.ID, v.Issuer, v.Expires = token.ID{1, 2, 3, 4, 5, 6, 7, byte(v.Kind)}, issuer.ID(), expires
		head := rawVoucher(v, nil)
		v.Sig = s(issuerKey, "voucher", head)
		return v
	}
	chained := vouch(hub.Voucher{Kind: hub.VoucherName, Subject: seed.ID(), Hub: hubID.ID(), Text: "bob"})
	id, of := node.ID(), seed.ID()
	until := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	chained.Link = &hub.SecondLink{
		Node: id, Sig: s(seedKey, "link", chained.Hub[:], chained.ID[:], id[:]),
		Joined: hub.Joined{Until: uint64(expires.Unix()), Sig: s(hubKey, "joined", of[:], id[:], until)},
	}
	var file strings.Builder
	for _, c := range []struct {
		what string
		v    hub.Voucher
	}{
		{"name", vouch(hub.Voucher{Kind: hub.VoucherName, Subject: id, Text: "bob"})},
		{"room-at-hub", vouch(hub.Voucher{Kind: hub.VoucherRoom, Subject: id, Hub: hubID.ID(), Text: "ops"})},
		{"admit", vouch(hub.Voucher{Kind: hub.VoucherAdmit, Subject: id})},
		{"name-chain", chained},
	} {
		text := mv1(rawVoucher(c.v, c.v.Link))
		fmt.Fprintf(&file, "%s %s\n", c.what, text)
		got, err := hub.ParseVoucher(text)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		xtest.WantCode(t, c.what, got.Check(id, hubID.ID(), expires), proto.OK)
	}
	const path = "testdata/vouchers.txt"
	if *update {
		if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != file.String() {
		t.Errorf("%s: %v: it has\n%s, want\n%s", path, err, want, file.String())
	}
}
