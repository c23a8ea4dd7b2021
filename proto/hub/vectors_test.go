package hub_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// The file has the signatures of a login, of an invite, and of a request, made without the
// code of package hub. The keys have seeds of equal bytes: hub 2, node 3, invite 4. So have
// the client's nonce 5, the hub's 6, the binding 7, the instance 8, the session 9, and the
// HPKE key 10.
func TestLoginVectors(t *testing.T) {
	t.Parallel()
	hubID, hubKey := keyOf(t, 2)
	node, nodeKey := keyOf(t, 3)
	_, seedKey := keyOf(t, 4)
	same := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	l := hub.Login{Origin: "wss://hub.example:443", Hub: hubID.ID(), ClientNonce: same(5, 16), HubNonce: same(6, 32), Binding: same(7, 32)}
	var instance, session hub.ID
	copy(instance[:], same(8, 16))
	copy(session[:], same(9, 16))
	invite := newInvite(t, "wss://hub.example")
	copy(invite.Seed[:], same(4, 32))
	r := hub.Request{Session: session, To: "bob", Kind: hub.KindPipe, Want: "send", Seal: same(10, hub.SealKeyBytes), AnswerS: 20}
	id, at, origin := node.ID(), hubID.ID(), []byte(l.Origin)
	want := []struct {
		what string
		sig  []byte
		got  []byte
	}{
		{"hub", s(hubKey, "hub", origin, l.ClientNonce, l.HubNonce, l.Binding), l.Prove(hubID)},
		{"login", s(nodeKey, "login", origin, at[:], l.HubNonce, l.Binding, instance[:]), l.Sign(node, instance)},
		{"join", s(seedKey, "join", origin, at[:], l.HubNonce, id[:]), l.SignJoin(invite, id).Sig},
		{"request", s(nodeKey, "request", at[:], session[:], []byte("bob"), []byte("pipe"), []byte("send"), r.Seal, binary.BigEndian.AppendUint32(nil, 20)), func() []byte {
			r.Sign(node, at)
			return r.Sig
		}()},
	}
	var file strings.Builder
	for _, one := range want {
		fmt.Fprintf(&file, "%s %x\n", one.what, one.sig)
		if !bytes.Equal(one.got, one.sig) {
			t.Errorf("%s: got %x, want %x", one.what, one.got, one.sig)
		}
	}
	h := hub.Hello{Node: id, Binding: l.Binding, Sig: want[1].sig, Instance: instance, Invite: &hub.Join{Key: invite.Key(), Sig: want[2].sig}}
	if err := l.CheckProof(want[0].sig); err != nil || !l.Check(&h) || !l.CheckJoin(&h) || !r.Signed(id, at) {
		t.Errorf("proof %v, hello %v, join %v, request %v: want that all are taken", err, l.Check(&h), l.CheckJoin(&h), r.Signed(id, at))
	}
	wantFile(t, "testdata/login.txt", file.String())
}

// wantFile compares a file of vectors, and writes it with -update.
func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: %v: it has\n%s, want\n%s", path, err, got, want)
	}
}

// sessionVector is one session as the dialer sees it.
type sessionVector struct {
	Hub      identity.ID `json:"hub"`
	Dialer   identity.ID `json:"dialer"`
	Listener identity.ID `json:"listener"`
	// Private is the dialer's HPKE key of this request, Keys the four keys of the session.
	Private string            `json:"private"`
	Request hub.Request       `json:"request"`
	Accept  hub.Accept        `json:"accept"`
	Grant   hub.Grant         `json:"grant"`
	Keys    map[string]string `json:"keys"`
	// Candidates are Grant's meeting again, generation 1 of each end.
	FromDialer   hub.Candidates `json:"from_dialer"`
	FromListener hub.Candidates `json:"from_listener"`
}

// The file has a whole session: request, accept, what is sealed in it, its keys, and the
// candidates of both ends.
func TestSessionVector(t *testing.T) {
	t.Parallel()
	const path = "testdata/session.json"
	if *update {
		writeSessionVector(t, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v sessionVector
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	private, err := hex.DecodeString(v.Private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hub.ParseSealKey(private)
	if err != nil || !bytes.Equal(key.Public(), v.Request.Seal) {
		t.Fatalf("the private key is not that of the request: %v", err)
	}
	if !v.Request.Signed(v.Dialer, v.Hub) {
		t.Error("the request is not signed by its dialer")
	}
	created := &hub.Created{Session: v.Accept.Session, SessionToken: v.Accept.Sealed, Sig: v.Accept.Sig}
	g, keys, err := v.Request.Open(key, v.Hub, v.Dialer, v.Listener, created)
	if err != nil || !reflect.DeepEqual(g, v.Grant) {
		t.Fatalf("got the grant %+v, %v; want %+v", g, err, v.Grant)
	}
	if got := keyTexts(keys); !reflect.DeepEqual(got, v.Keys) {
		t.Errorf("got the keys %v, want %v", got, v.Keys)
	}
	for role, c := range map[string]hub.Candidates{hub.RoleDialer: v.FromDialer, hub.RoleListener: v.FromListener} {
		if m, err := keys.OpenMeeting(role, &c); err != nil || !reflect.DeepEqual(m, v.Grant.Meeting) {
			t.Errorf("candidates of the %s: got %+v, %v", role, m, err)
		}
		again, err := keys.SealMeeting(role, c.Gen, v.Grant.Meeting)
		if err != nil || !bytes.Equal(again.Sealed, c.Sealed) {
			t.Errorf("candidates of the %s, sealed again: got %x, %v; want %x", role, again.Sealed, err, c.Sealed)
		}
	}
	v.Accept.Sig[0] ^= 1
	_, _, err = v.Request.Open(key, v.Hub, v.Dialer, v.Listener, created)
	xtest.WantCode(t, "another signature", err, proto.Identity)
}

func keyTexts(k *hub.Keys) map[string]string {
	return map[string]string{
		"dialer": hex.EncodeToString(k.Dialer[:]), "listener": hex.EncodeToString(k.Listener[:]),
		"punch dialer": hex.EncodeToString(k.PunchDialer[:]), "punch listener": hex.EncodeToString(k.PunchListener[:]),
	}
}

func writeSessionVector(t *testing.T, path string) {
	t.Helper()
	s := newSession(t)
	private, err := s.seal.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	v := sessionVector{Hub: s.hub.ID(), Dialer: s.dialer.ID(), Listener: s.listener.ID(), Private: hex.EncodeToString(private), Request: s.request}
	v.Grant = hub.Grant{Token: "mesh1example", Caps: "recv,send", Via: "quic", Meeting: hub.Meeting{NAT: "cone", Candidates: []hub.Candidate{{Type: candidate.Host, Proto: candidate.UDP, Addr: "192.0.2.7:4600", Priority: 2130706431}}}}
	a, keys, err := s.request.Accept(s.listener, s.hub.ID(), s.dialer.ID(), v.Grant)
	if err != nil {
		t.Fatal(err)
	}
	v.Accept, v.Keys = *a, keyTexts(keys)
	for role, into := range map[string]*hub.Candidates{hub.RoleDialer: &v.FromDialer, hub.RoleListener: &v.FromListener} {
		c, err := keys.SealMeeting(role, 1, v.Grant.Meeting)
		if err != nil {
			t.Fatal(err)
		}
		*into = *c
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
