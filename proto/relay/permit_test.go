package relay_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

var noon = time.Unix(1764417600, 0)

func newKey(t testing.TB) *identity.Key {
	t.Helper()
	k, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fixedKey returns the same key in each process of a fuzz run: what it has signed is
// valid in all of them.
func fixedKey(t testing.TB, seed byte) *identity.Key {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fixed.key")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := identity.LoadKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newPermit(t testing.TB) relay.Permit {
	t.Helper()
	return relay.Permit{
		Kind: relay.KindLink, Session: [16]byte{1, 2, 3}, Node: newKey(t).ID(), Peer: newKey(t).ID(), Role: relay.RoleDialer,
		Relay: "hub.example:443", Rate: 1 << 20, Bytes: 1 << 40, Expires: noon.Add(relay.PermitLife),
	}
}

func sign(t testing.TB, p relay.Permit, hub *identity.Key) string {
	t.Helper()
	text, err := p.Sign(hub)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func authenticate(t testing.TB, p relay.Permit, own []byte) string {
	t.Helper()
	text, err := p.Authenticate(own)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signRaw returns a text whose payload is signed as it is.
func signRaw(hub *identity.Key, payload string) string {
	sig := hub.Sign([]byte(relay.LabelPermit + "\x00" + payload))
	return base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func payloadOf(t testing.TB, text string) string {
	t.Helper()
	first, _, _ := strings.Cut(text, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPermit(t *testing.T) {
	t.Parallel()
	hub := newKey(t)
	own := hub.Derive(relay.OwnKeyLabel)
	for _, name := range []string{"hub.example:443", "h", "192.0.2.1:4600", "[2001:db8::1]:443", strings.Repeat("a", relay.MaxNameBytes)} {
		for _, role := range []relay.Role{relay.RoleDialer, relay.RoleListener} {
			want := newPermit(t)
			want.Relay, want.Role, want.Rate, want.Bytes = name, role, 1<<64-1, 1<<64-1
			text := sign(t, want, hub)
			for _, text := range []string{text, authenticate(t, want, own)} {
				got, err := relay.ParsePermit(text, hub.ID(), own)
				if err != nil || got != want {
					t.Errorf("%s as %s: got %+v, %v; want %+v", name, role, got, err, want)
				}
				if len(text) > relay.MaxPermitBytes {
					t.Errorf("%s: %d bytes, want at most %d", name, len(text), relay.MaxPermitBytes)
				}
			}
		}
	}
}

func TestPermitEnds(t *testing.T) {
	t.Parallel()
	p := newPermit(t)
	q := p
	q.Node, q.Peer, q.Role = p.Peer, p.Node, relay.RoleListener
	if p.Dialer() != p.Node || p.Listener() != p.Peer || q.Dialer() != p.Node || q.Listener() != p.Peer {
		t.Errorf("dialer %s and %s, want %s; listener %s and %s, want %s",
			p.Dialer().Short(), q.Dialer().Short(), p.Node.Short(), p.Listener().Short(), q.Listener().Short(), p.Peer.Short())
	}
}

// The payload is part of the protocol: other programs make and check permits too.
func TestPermitForm(t *testing.T) {
	t.Parallel()
	p := newPermit(t)
	want := `{"v":1,"kind":"link","session":"01020300000000000000000000000000","node":"` + p.Node.String() + `","peer":"` + p.Peer.String() +
		`","role":"dialer","relay":"hub.example:443","rate":1048576,"bytes":1099511627776,"expires":1764421200}`
	hub := newKey(t)
	text := sign(t, p, hub)
	if got := payloadOf(t, text); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if raw := signRaw(hub, want); raw != text {
		t.Errorf("got  %s\nwant %s", text, raw)
	}
}

func TestPermitRefused(t *testing.T) {
	t.Parallel()
	hub := newKey(t)
	good := sign(t, newPermit(t), hub)
	payload := payloadOf(t, good)
	edit := func(old, with string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("the payload has no %s", old)
		}
		return signRaw(hub, strings.Replace(payload, old, with, 1))
	}
	body, sig, _ := strings.Cut(good, ".")
	hubID, own := hub.ID(), hub.Derive(relay.OwnKeyLabel)
	_, mac, _ := strings.Cut(authenticate(t, newPermit(t), own), ".")
	other := newPermit(t)
	for what, tt := range map[string]struct {
		text string
		want proto.Code
	}{
		"another hub's":          {sign(t, newPermit(t), newKey(t)), proto.Denied},
		"signed by the node":     {sign(t, other, newKey(t)), proto.Denied},
		"another payload":        {strings.Split(sign(t, other, hub), ".")[0] + "." + sig, proto.Denied},
		"another hub's MAC":      {authenticate(t, other, newKey(t).Derive(relay.OwnKeyLabel)), proto.Denied},
		"a MAC of another key":   {authenticate(t, other, hub.Derive("mesh-hub/1 api")), proto.Denied},
		"a MAC of a public key":  {authenticate(t, other, hubID[:]), proto.Denied},
		"a MAC without a key":    {authenticate(t, other, nil), proto.Denied},
		"another payload's MAC":  {body + "." + mac, proto.Denied},
		"a short MAC":            {body + "." + mac[:len(mac)-2], proto.Protocol},
		"a long MAC":             {body + "." + mac + "AA", proto.Protocol},
		"empty":                  {"", proto.Protocol},
		"no signature":           {body, proto.Protocol},
		"a short signature":      {body + "." + sig[:8], proto.Protocol},
		"three parts":            {good + ".", proto.Protocol},
		"padded":                 {good + "==", proto.Protocol},
		"a new line":             {good[:4] + "\n" + good[4:], proto.Protocol},
		"the other base64":       {strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+", proto.Protocol},
		"too long":               {good + strings.Repeat("A", relay.MaxPermitBytes), proto.Protocol},
		"version 2":              {edit(`"v":1`, `"v":2`), proto.Protocol},
		"no version":             {edit(`"v":1,`, ``), proto.Protocol},
		"another kind":           {edit(`"link"`, `"guest"`), proto.Protocol},
		"another role":           {edit(`"dialer"`, `"both"`), proto.Protocol},
		"no role":                {edit(`"dialer"`, `""`), proto.Protocol},
		"no relay":               {edit(`"hub.example:443"`, `""`), proto.Protocol},
		"a relay in capitals":    {edit(`"hub.example:443"`, `"Hub.example:443"`), proto.Protocol},
		"a relay with a space":   {edit(`"hub.example:443"`, `"hub example"`), proto.Protocol},
		"a relay with controls":  {edit(`"hub.example:443"`, `"\u001b]0;x"`), proto.Protocol},
		"a long relay":           {edit(`"hub.example:443"`, `"`+strings.Repeat("a", relay.MaxNameBytes+1)+`"`), proto.Protocol},
		"a long id":              {edit(`"01020300`, `"0001020300`), proto.Protocol},
		"a short id":             {edit(`"01020300`, `"010203`), proto.Protocol},
		"an id of zeros":         {edit(`"01020300`, `"00000000`), proto.Protocol},
		"an id in capitals":      {edit(`"01020300`, `"0102FF00`), proto.Protocol},
		"no end":                 {edit(`1764421200`, `0`), proto.Protocol},
		"an end before 1970":     {edit(`1764421200`, `-1`), proto.Protocol},
		"an end after 9999":      {edit(`1764421200`, `253402300800`), proto.Protocol},
		"an end in fractions":    {edit(`1764421200`, `1764421200.5`), proto.Protocol},
		"a negative rate":        {edit(`"rate":1048576`, `"rate":-1`), proto.Protocol},
		"more bytes than 64 bit": {edit(`1099511627776`, `18446744073709551616`), proto.Protocol},
		"an unknown field":       {edit(`"v":1`, `"v":1,"x":1`), proto.Protocol},
		"a field twice":          {edit(`"v":1`, `"v":1,"v":1`), proto.Protocol},
		"a name in capitals":     {edit(`"v":1`, `"V":1`), proto.Protocol},
		"white space":            {edit(`"v":1`, `"v": 1`), proto.Protocol},
		"another order":          {edit(`"v":1,"kind":"link"`, `"kind":"link","v":1`), proto.Protocol},
		"an escape":              {edit(`"link"`, `"\u006cink"`), proto.Protocol},
		"two objects":            {signRaw(hub, payload+payload), proto.Protocol},
		"no object":              {signRaw(hub, "null"), proto.Protocol},
		"deep arrays":            {signRaw(hub, strings.Repeat("[", 500)), proto.Protocol},
	} {
		if p, err := relay.ParsePermit(tt.text, hub.ID(), own); proto.CodeOf(err) != tt.want {
			t.Errorf("%s: got %+v, %v (code %s); want code %s", what, p, err, proto.CodeOf(err), tt.want)
		} else if len(tt.text) > 40 && strings.Contains(err.Error(), tt.text[:40]) {
			t.Errorf("%s: the error has the text: %v", what, err)
		}
	}
}

// A MAC is good at the hub's own relay alone: one elsewhere has no key for it. A signature is
// good at both.
func TestPermitOwn(t *testing.T) {
	t.Parallel()
	hub := newKey(t)
	own := hub.Derive(relay.OwnKeyLabel)
	signed, authentic := sign(t, newPermit(t), hub), authenticate(t, newPermit(t), own)
	for _, tt := range []struct {
		what, text string
		own        []byte
		want       proto.Code
	}{
		{"a signature at the hub's own relay", signed, own, proto.OK},
		{"a signature elsewhere", signed, nil, proto.OK},
		{"a MAC at the hub's own relay", authentic, own, proto.OK},
		{"a MAC elsewhere", authentic, nil, proto.Denied},
		{"a MAC at a relay with an empty key", authenticate(t, newPermit(t), []byte{}), []byte{}, proto.Denied},
		{"a MAC at another hub's own relay", authentic, newKey(t).Derive(relay.OwnKeyLabel), proto.Denied},
	} {
		_, err := relay.ParsePermit(tt.text, hub.ID(), tt.own)
		xtest.WantCode(t, tt.what, err, tt.want)
	}
}

// No bit of a text may change: there is one text for each permit.
func TestPermitFlipped(t *testing.T) {
	t.Parallel()
	hub := newKey(t)
	own := hub.Derive(relay.OwnKeyLabel)
	for _, good := range []string{sign(t, newPermit(t), hub), authenticate(t, newPermit(t), own)} {
		for i := range good {
			for bit := range 8 {
				bad := []byte(good)
				bad[i] ^= 1 << bit
				if _, err := relay.ParsePermit(string(bad), hub.ID(), own); err == nil {
					t.Fatalf("bit %d of byte %d of %d flipped: the permit is taken", bit, i, len(good))
				}
			}
		}
	}
}

// Sign refuses what ParsePermit would refuse.
func TestPermitNotSigned(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*relay.Permit){
		"kind":         func(p *relay.Permit) { p.Kind = "guest" },
		"no kind":      func(p *relay.Permit) { p.Kind = "" },
		"no session":   func(p *relay.Permit) { p.Session = [16]byte{} },
		"no node":      func(p *relay.Permit) { p.Node = identity.ID{} },
		"no peer":      func(p *relay.Permit) { p.Peer = identity.ID{} },
		"one node":     func(p *relay.Permit) { p.Peer = p.Node },
		"role":         func(p *relay.Permit) { p.Role = "listner" },
		"relay":        func(p *relay.Permit) { p.Relay = "tcp://hub.example" },
		"no end":       func(p *relay.Permit) { p.Expires = time.Time{} },
		"end too late": func(p *relay.Permit) { p.Expires = time.Unix(253402300800, 0) },
	} {
		p := newPermit(t)
		change(&p)
		if text, err := p.Sign(newKey(t)); err == nil {
			t.Errorf("%s: signed %s", what, text)
		}
		if text, err := p.Authenticate(newKey(t).Derive(relay.OwnKeyLabel)); err == nil {
			t.Errorf("%s: authenticated %s", what, text)
		}
	}
}

func TestPermitCheck(t *testing.T) {
	t.Parallel()
	p := newPermit(t) // expires an hour after noon
	end := p.Expires
	for _, tt := range []struct {
		what  string
		relay string
		now   time.Time
		want  proto.Code
	}{
		{"new", "hub.example:443", noon, proto.OK},
		{"at its end", "hub.example:443", end, proto.OK},
		{"ten minutes after it", "hub.example:443", end.Add(relay.DateSlack), proto.OK},
		{"later", "hub.example:443", end.Add(relay.DateSlack + time.Second), proto.Timeout},
		{"a week later", "hub.example:443", end.Add(7 * 24 * time.Hour), proto.Timeout},
		{"by a relay's slow clock", "hub.example:443", noon.Add(-relay.DateSlack), proto.OK},
		{"by one that is wrong", "hub.example:443", noon.Add(-relay.DateSlack - time.Second), proto.Timeout},
		{"at another relay", "relay.example:443", noon, proto.Denied},
		{"at another port", "hub.example:444", noon, proto.Denied},
		{"at the host alone", "hub.example", noon, proto.Denied},
		{"at no relay", "", noon, proto.Denied},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			xtest.WantCode(t, "Check", p.Check(tt.relay, tt.now), tt.want)
		})
	}
}

// A text that has a payload and a proof is the only text of both, and a payload that is
// taken is the only one of its permit. No signature is made or checked here: each costs a
// thousand times as much as the rest, so that the fuzzer got nowhere. [TestPermitFlipped]
// checks that none but the right one is taken.
func FuzzPermit(f *testing.F) {
	p := newPermit(f)
	p.Node, p.Peer = fixedKey(f, 2).ID(), fixedKey(f, 3).ID()
	good := sign(f, p, fixedKey(f, 1))
	f.Add(good, payloadOf(f, good))
	f.Add(authenticate(f, p, fixedKey(f, 1).Derive(relay.OwnKeyLabel)), payloadOf(f, good))
	f.Add("", "{}")
	f.Fuzz(func(t *testing.T, text, payload string) {
		if b, proof, err := relay.PermitParts(text); err == nil {
			again := base64.RawURLEncoding.EncodeToString(b) + "." + base64.RawURLEncoding.EncodeToString(proof)
			if again != text || len(proof) != ed25519.SignatureSize && len(proof) != sha256.Size {
				t.Fatalf("got a proof of %d bytes in %q, want %q", len(proof), text, again)
			}
		}
		p, err := relay.DecodePermit([]byte(payload))
		if err != nil {
			return
		}
		if again := relay.EncodePermit(p); string(again) != payload {
			t.Fatalf("got %q, want %q", payload, again)
		}
		if p.Dialer() == p.Listener() {
			t.Fatalf("%+v has one node at both ends", p)
		}
	})
}

// What a hub pays for each end of a session.
func BenchmarkPermit(b *testing.B) {
	hub := newKey(b)
	own, p := hub.Derive(relay.OwnKeyLabel), newPermit(b)
	b.Run("signed", func(b *testing.B) {
		for b.Loop() {
			sign(b, p, hub)
		}
	})
	b.Run("authenticated", func(b *testing.B) {
		for b.Loop() {
			authenticate(b, p, own)
		}
	})
}
