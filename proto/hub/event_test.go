package hub_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for text, part := range map[string]string{
		`{"type":"system.ok","ref":"7"}`:                                       "",
		` {"type":"p2p.x","new":{"a":[1]},"data":{"b":1}} `:                    "",
		`{"type":"p2p.x","data":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}`:       "",
		`{"type":"p2p.x","data":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}`: "nested more than 8",
		`{"type":"p2p.x","text":"{{{{{{{{{\"{"}`:                               "",
		strings.Repeat("[", 50000):                                             "nested",
		`{"type":"system.ok","type":"p2p.x"}`:                                  "not valid JSON",
		`{"type":"system.ok","TYPE":"p2p.x"}`:                                  "",
		`{"TYPE":"system.ok"}`:                                                 "its type",
		`{"type":"system.ok","data":{"a":1,"a":2}}`:                            "not valid JSON",
		"{\"type\":\"system.ok\",\"ref\":\"\xff\"}":                            "not valid JSON",
		`{"type":"system.ok"}{}`:                                               "not valid",
		`{"type":"system.ok"`:                                                  "not valid",
		`{"type":7}`:                                                           "another form",
		`{"type":""}`:                                                          "its type",
		`{"type":"ok"}`:                                                        "its type",
		`{"type":"System.ok"}`:                                                 "its type",
		`{"type":"system..ok"}`:                                                "its type",
		`[]`:                                                                   "another form",
		`null`:                                                                 "its type",
		``:                                                                     "not valid",
		`{"type":"system.ok","id":"a b"}`:                                      "an id is",
		`{"type":"system.ok","id":"` + strings.Repeat("a", 32) + `"}`:    "",
		`{"type":"system.ok","id":"` + strings.Repeat("a", 33) + `"}`:    "an id is",
		`{"type":"system.ok","from":"mk1abc"}`:                           "another form",
		`{"type":"system.ok","name":"` + strings.Repeat("n", 257) + `"}`: "limit is 256",
	} {
		_, err := hub.Decode([]byte(text), hub.MaxEventBytes)
		if part == "" && err != nil || part != "" && (err == nil || !strings.Contains(err.Error(), part)) {
			t.Errorf("%.80s: got %v, want %q", text, err, part)
		}
	}
}

func TestEventLimit(t *testing.T) {
	t.Parallel()
	text := []byte(`{"type":"system.ok","x":""}`)
	full := append(append(bytes.Clone(text[:len(text)-2]), strings.Repeat("x", hub.MaxEventBytes-len(text))...), `"}`...)
	if _, err := hub.Decode(full, hub.MaxEventBytes); err != nil {
		t.Errorf("%d bytes: %v", len(full), err)
	}
	if _, err := hub.Decode(append(full, ' '), hub.MaxEventBytes); !errors.Is(err, hub.ErrTooLarge) {
		t.Errorf("%d bytes: got %v, want ErrTooLarge", len(full)+1, err)
	}
}

// all are the data of each type, valid.
func all(t testing.TB) map[string]hub.Data {
	s := newSession(t)
	id, key := hub.NewID(), s.listener.ID()
	sig := bytes.Repeat([]byte{1}, hub.SignatureBytes)
	register := hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}
	x := newExchange(t)
	open := x.at.Event()
	open.Claimed = key
	return map[string]hub.Data{
		hub.TypeChallenge:  &hub.Challenge{Hub: key, Nonce: sig[:32], Proof: sig, Software: "mesh 1"},
		hub.TypeHello:      &hub.Hello{Node: key, Binding: sig[:32], Sig: sig, Instance: id, Agent: "mesh", Register: []hub.Register{register}, Invite: &hub.Join{Key: key, Sig: sig}},
		hub.TypeWelcome:    &hub.Welcome{Observed: "192.0.2.1:5", PingS: 20, STUN: []string{"192.0.2.2:3478"}, Registered: []hub.Registered{{Name: "bob"}}},
		hub.TypeRegister:   &register,
		hub.TypeRegistered: &hub.Registered{Name: "bob", Code: hub.CodeTaken, SinceS: 4, Owner: key.Short()},
		hub.TypeRelease:    &hub.Release{Name: "bob"},
		hub.TypeLookup:     &hub.Lookup{Peer: "ops/bob"},
		hub.TypePeer:       &hub.Peer{Node: key, Name: "bob", Online: true, Kinds: []hub.Kind{hub.KindTTY}},
		hub.TypeWatch:      &hub.Watch{Peer: "bob", Kind: hub.KindPing},
		hub.TypeOnline:     &hub.Online{Node: key, Kinds: []hub.Kind{hub.KindTTY}},
		hub.TypeToken:      &hub.TokenMade{Token: "mh1a", Scopes: []hub.Scope{hub.ScopeRead}, ExpiresS: 600, ID: "0102"},
		hub.TypeGoAway:     &hub.GoAway{AfterS: 1, SpreadS: 30, Hubs: []string{"wss://b"}},
		hub.TypeRoomJoin:   &hub.RoomJoin{Room: "ops", Watch: true},
		hub.TypeRoomLeave:  &hub.RoomLeave{Room: "ops"},
		hub.TypeRoomPeers:  &hub.RoomPeers{Rev: 3, Peers: []hub.RoomPeer{{Node: key, Name: "bob", Kinds: []hub.Kind{hub.KindTTY}, SinceS: 5}}, Next: key},
		hub.TypeRoomJoined: &hub.RoomChange{Room: "ops", Rev: 4, Peer: hub.RoomPeer{Node: key, Name: "bob"}},
		hub.TypeRoomLeft:   &hub.RoomChange{Room: "ops", Rev: 5, Peer: hub.RoomPeer{Node: key}, Reason: hub.ReasonLost},
		hub.TypeError:      &hub.Error{Code: hub.CodeOffline, Text: "bob is not connected", RetryAfterS: 3},
		hub.TypeRequest:    &s.request,
		hub.TypeOffer:      &hub.Offer{Request: s.request, Relay: []hub.Relay{{URL: "tcp://h:443", Permit: "p", MaxBPS: 1}}},
		hub.TypePending:    &hub.SessionRef{Session: id},
		hub.TypeAccept:     &hub.Accept{Session: id, Sealed: []byte{1}, Sig: sig},
		hub.TypeDecline:    &hub.Decline{Session: id, Code: hub.CodeBusy},
		hub.TypeDeclined:   &hub.Declined{Session: id, Code: hub.CodeTimeout},
		hub.TypeCreated:    &hub.Created{Session: id, Role: hub.RoleDialer, Peer: key, Kind: hub.KindPipe, SessionToken: []byte{1}, Sig: sig},
		hub.TypeCandidates: &hub.Candidates{Session: id, Gen: 1, Sealed: []byte{1}},
		hub.TypeClosed:     &hub.Closed{Session: id, Reason: "done", Path: "direct", MS: 3},

		hub.TypeCodeOpen:    &open,
		hub.TypeCodeOpened:  &hub.CodeOpened{Plate: 7, ExpiresS: 600},
		hub.TypeCodeClaim:   &hub.CodeClaim{Plate: hub.MaxPlate},
		hub.TypeCodeClaimed: x.claimed(),
		hub.TypeCodeFreed:   &hub.CodeFreed{Box: id},
		hub.TypeCodeConfirm: x.claim(codeWords).Confirm(),
		hub.TypeCodeDone:    &hub.CodeDone{Box: id, Tag: sig[:32], Sealed: []byte{1}, Sig: sig},
		hub.TypeCodeBurn:    &hub.CodeBurn{Box: id, Reason: hub.BurnWrong},
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	for typ, data := range all(t) {
		e, err := hub.New(typ, data)
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		e.ID = "7"
		text, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := hub.Decode(text, hub.MaxEventBytes)
		if err != nil || back.ID != "7" || back.From != (identity.ID{}) {
			t.Errorf("%s: got %+v, %v", typ, back, err)
		}
		got := reflect.New(reflect.TypeOf(data).Elem()).Interface().(hub.Data)
		if err := back.Read(got); err != nil || !reflect.DeepEqual(got, data) {
			t.Errorf("%s: got %+v, %v; want %+v", typ, got, err, data)
		}
	}
}

// The text of an event is the same whether its data was encoded here or came from
// elsewhere, and events without data have none.
func TestEncode(t *testing.T) {
	t.Parallel()
	events := all(t)
	events[hub.TypeOK] = nil
	for typ, data := range events {
		e, err := hub.New(typ, data)
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		e.ID, e.Name = "7", `a "name" & <more>`
		e.From[0] = 1
		got, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		same := hub.Event{Type: e.Type, ID: e.ID, Name: e.Name, From: e.From, Data: e.Data}
		if want, err := same.Encode(); err != nil || string(got) != string(want) {
			t.Errorf("%s: got %s, want %s, %v", typ, got, want, err)
		}
	}
	if text, err := (hub.Event{Type: hub.TypeOK, Data: []byte(`{"a":`)}).Encode(); err == nil {
		t.Errorf("data that is no JSON: got %s, want an error", text)
	}
}

// An event that is decoded shares no memory with its text, which the caller uses again.
func TestDecodeCopies(t *testing.T) {
	t.Parallel()
	for typ, data := range all(t) {
		e, err := hub.New(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Ref, e.Name = "7", "8", "bob"
		text, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := hub.Decode(text, hub.MaxEventBytes)
		if err != nil {
			t.Fatal(err)
		}
		clear(text)
		if got.Type != typ || got.ID != "7" || got.Ref != "8" || got.Name != "bob" || string(got.Data) != string(e.Data) {
			t.Errorf("%s: after its text has changed: %+v", typ, got)
		}
	}
}

// Each field has a limit, and what is over it is refused by both ends.
func TestBadData(t *testing.T) {
	t.Parallel()
	long, sig := strings.Repeat("x", 257), bytes.Repeat([]byte{1}, 64)
	good := all(t)
	request := func(change func(r *hub.Request)) hub.Data {
		r := *good[hub.TypeRequest].(*hub.Request)
		change(&r)
		return &r
	}
	hello := func(change func(h *hub.Hello)) hub.Data {
		h := *good[hub.TypeHello].(*hub.Hello)
		change(&h)
		return &h
	}
	for what, data := range map[string]hub.Data{
		"challenge without nonce":   &hub.Challenge{Hub: [32]byte{1}, Proof: sig},
		"hello without node":        hello(func(h *hub.Hello) { h.Node = identity.ID{} }),
		"hello without instance":    hello(func(h *hub.Hello) { h.Instance = hub.ID{} }),
		"hello with 9 names":        hello(func(h *hub.Hello) { h.Register = make([]hub.Register, 9) }),
		"hello with a long agent":   hello(func(h *hub.Hello) { h.Agent = long[:65] }),
		"hello with a short sig":    hello(func(h *hub.Hello) { h.Sig = sig[:63] }),
		"hello with 9 vouchers":     hello(func(h *hub.Hello) { h.Vouchers = make([]string, 9) }),
		"hello with a long voucher": hello(func(h *hub.Hello) { h.Vouchers = []string{strings.Repeat("x", 769)} }),
		"hello with half an invite": hello(func(h *hub.Hello) { h.Invite = &hub.Join{Sig: sig} }),
		"register of a long name":   &hub.Register{Name: long},
		"register of a wrong kind":  &hub.Register{Name: "bob", Kinds: []hub.Kind{"Pipe"}},
		"register of 9 kinds":       &hub.Register{Name: "bob", Kinds: slicesRepeat(hub.KindPipe, 9)},
		"lookup of a long name":     &hub.Lookup{Peer: long},
		"watch without kind":        &hub.Watch{Peer: "bob"},
		"room.join of a long room":  &hub.RoomJoin{Room: long},
		"room.leave of a long room": &hub.RoomLeave{Room: long},
		"room.peers of a long room": &hub.RoomList{Room: long},
		"room.peers with 101 peers": &hub.RoomPeers{Peers: slicesRepeat(hub.RoomPeer{Node: [32]byte{1}}, 101)},
		"room.peers without node":   &hub.RoomPeers{Peers: []hub.RoomPeer{{}}},
		"room.peers of 9 kinds":     &hub.RoomPeers{Peers: []hub.RoomPeer{{Node: [32]byte{1}, Kinds: slicesRepeat(hub.KindPipe, 9)}}},
		"room.joined without node":  &hub.RoomChange{Room: "ops", Rev: 1},
		"room.left, long reason":    &hub.RoomChange{Room: "ops", Peer: hub.RoomPeer{Node: [32]byte{1}}, Reason: long},
		"goaway with 5 hubs":        &hub.GoAway{Hubs: make([]string, 5)},
		"error without code":        &hub.Error{},
		"request without session":   request(func(r *hub.Request) { r.Session = hub.ID{} }),
		"request to nobody":         request(func(r *hub.Request) { r.To = "" }),
		"request of 61 s":           request(func(r *hub.Request) { r.AnswerS = 61 }),
		"request, unknown right":    request(func(r *hub.Request) { r.Want = "root" }),
		"request, rights unsorted":  request(func(r *hub.Request) { r.Want = "recv,send" }),
		"request, long key":         request(func(r *hub.Request) { r.Seal = append(r.Seal, 0) }),
		"request, unknown bearer":   request(func(r *hub.Request) { r.Bearer = &hub.Bearer{Method: "x", MAC: sig[:32]} }),
		"request, bearer's MAC":     request(func(r *hub.Request) { r.Bearer = &hub.Bearer{Method: "known", MAC: sig[:31]} }),
		"accept of 8 KiB + 1":       &hub.Accept{Session: hub.NewID(), Sealed: make([]byte, 8<<10+1), Sig: sig},
		"accept of nothing":         &hub.Accept{Session: hub.NewID(), Sig: sig},
		"decline with own words":    &hub.Decline{Session: hub.NewID(), Code: "no way"},
		"created without role":      &hub.Created{Session: hub.NewID(), Peer: [32]byte{1}, Kind: hub.KindPipe},
		"created without token":     &hub.Created{Session: hub.NewID(), Role: hub.RoleDialer, Peer: [32]byte{1}, Kind: hub.KindPipe, Sig: sig},
		"candidates of gen 0":       &hub.Candidates{Session: hub.NewID(), Sealed: []byte{1}},
		"closed with a long reason": &hub.Closed{Session: hub.NewID(), Reason: long},
		"claim of plate 0":          &hub.CodeClaim{},
		"claim of plate 10^6":       &hub.CodeClaim{Plate: 1000000},
		"opened without a plate":    &hub.CodeOpened{},
		"box as a dialer":           changed(good, hub.TypeCodeOpen, func(c *hub.CodeOpen) { c.AD = good[hub.TypeCodeConfirm].(*hub.CodeConfirm).AD }),
		"box with a long ad":        changed(good, hub.TypeCodeOpen, func(c *hub.CodeOpen) { c.AD = append(c.AD, 0) }),
		"box with a short share":    changed(good, hub.TypeCodeOpen, func(c *hub.CodeOpen) { c.Share = c.Share[1:] }),
		"box without kind":          changed(good, hub.TypeCodeOpen, func(c *hub.CodeOpen) { c.Kind = "" }),
		"claimed without a node":    changed(good, hub.TypeCodeClaimed, func(c *hub.CodeClaimed) { c.Peer = identity.ID{} }),
		"claimed without a share":   changed(good, hub.TypeCodeClaimed, func(c *hub.CodeClaimed) { c.Share = nil }),
		"freed without a box":       &hub.CodeFreed{},
		"confirm as a listener":     changed(good, hub.TypeCodeConfirm, func(c *hub.CodeConfirm) { c.AD = good[hub.TypeCodeOpen].(*hub.CodeOpen).AD }),
		"confirm with a short tag":  changed(good, hub.TypeCodeConfirm, func(c *hub.CodeConfirm) { c.Tag = c.Tag[1:] }),
		"done with a short tag":     changed(good, hub.TypeCodeDone, func(c *hub.CodeDone) { c.Tag = c.Tag[1:] }),
		"done of 8 KiB + 1":         changed(good, hub.TypeCodeDone, func(c *hub.CodeDone) { c.Sealed = make([]byte, 8<<10+1) }),
		"done without a signature":  changed(good, hub.TypeCodeDone, func(c *hub.CodeDone) { c.Sig = nil }),
		"burn with a long reason":   &hub.CodeBurn{Box: hub.NewID(), Reason: long},
	} {
		if _, err := hub.New("p2p.x", data); err == nil {
			t.Errorf("%s: is encoded", what)
		}
	}
}

// changed returns a copy of the good data of a type, with a change.
func changed[D any](good map[string]hub.Data, typ string, change func(*D)) hub.Data {
	d := *any(good[typ]).(*D)
	change(&d)
	return any(&d).(hub.Data)
}

func slicesRepeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestReadShape(t *testing.T) {
	t.Parallel()
	var s hub.SessionRef
	for _, tt := range []struct{ data, part string }{
		{`{"session":"00112233445566778899aabbccddeeff"}`, ""},
		{`{"session":"00112233445566778899aabbccddeeff","x":1}`, ""},
		{`{"session":"00112233445566778899AABBCCDDEEFF"}`, "another form"},
		{`{"session":"0011"}`, "another form"},
		{`{"Session":"00112233445566778899aabbccddeeff"}`, "session is absent"},
		{`{}`, "session is absent"},
		{`[]`, "no object"},
		{`null`, "no object"},
		{`7`, "no object"},
	} {
		data, part := tt.data, tt.part
		e, err := hub.Decode([]byte(`{"type":"p2p.session.cancel","data":`+data+`}`), hub.MaxEventBytes)
		if err != nil {
			t.Fatal(err)
		}
		s = hub.SessionRef{}
		if err := e.Read(&s); part == "" && err != nil || part != "" && (err == nil || !strings.Contains(err.Error(), part)) {
			t.Errorf("%s: got %v, want %q", data, err, part)
		}
	}
	e, err := hub.Decode([]byte(`{"type":"system.error","data":{"code":"x","retry_after":1e400}}`), hub.MaxEventBytes)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "a number of 10^400", e.Read(&hub.Error{}), "another form")
}
