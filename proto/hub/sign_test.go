package hub_test

import (
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// A login is worth nothing if any part of the connection is another one.
func TestLogin(t *testing.T) {
	t.Parallel()
	hubKey, node := xtest.NewKey(t), xtest.NewKey(t)
	login, instance := newLogin(hubKey), hub.NewID()
	proof := login.Prove(hubKey)
	invite := newInvite(t, "wss://hub.example")
	h := hub.Hello{Node: node.ID(), Instance: instance, Binding: login.Binding, Sig: login.Sign(node, instance), Invite: login.SignJoin(invite, node.ID())}
	if err := login.CheckProof(proof); err != nil || !login.Check(&h) || !login.CheckJoin(&h) {
		t.Fatalf("a good login: proof %v, hello %v, join %v", err, login.Check(&h), login.CheckJoin(&h))
	}
	for what, change := range map[string]func(l *hub.Login){
		"origin":    func(l *hub.Login) { l.Origin = "wss://hub.example:444" },
		"hub":       func(l *hub.Login) { l.Hub = node.ID() },
		"hub nonce": func(l *hub.Login) { l.HubNonce = flip(l.HubNonce) },
		"binding":   func(l *hub.Login) { l.Binding = flip(l.Binding) },
	} {
		other := login
		change(&other)
		xtest.WantCode(t, "proof with another "+what, other.CheckProof(proof), proto.Identity)
		if other.Check(&h) {
			t.Errorf("a hello with another %s is taken", what)
		}
		if what != "binding" && other.CheckJoin(&h) {
			t.Errorf("an invite with another %s is taken", what)
		}
	}
	other := login
	other.ClientNonce = flip(other.ClientNonce)
	xtest.WantCode(t, "proof for another client", other.CheckProof(proof), proto.Identity)
}

func TestHelloOfAnother(t *testing.T) {
	t.Parallel()
	hubKey, node, thief := xtest.NewKey(t), xtest.NewKey(t), xtest.NewKey(t)
	login, instance := newLogin(hubKey), hub.NewID()
	good := hub.Hello{Node: node.ID(), Instance: instance, Binding: login.Binding, Sig: login.Sign(node, instance), Invite: login.SignJoin(newInvite(t, "wss://h"), node.ID())}
	for what, change := range map[string]func(h *hub.Hello){
		"node":     func(h *hub.Hello) { h.Node = thief.ID() },
		"instance": func(h *hub.Hello) { h.Instance = hub.NewID() },
		"sig":      func(h *hub.Hello) { h.Sig = flip(h.Sig) },
		"short":    func(h *hub.Hello) { h.Sig = h.Sig[:63] },
		"binding":  func(h *hub.Hello) { h.Binding = make([]byte, hub.BindingBytes) },
	} {
		h := good
		change(&h)
		if login.Check(&h) {
			t.Errorf("%s: the hello is taken", what)
		}
	}
	stolen := good
	stolen.Node = thief.ID()
	stolen.Sig = login.Sign(thief, instance)
	if !login.Check(&stolen) || login.CheckJoin(&stolen) {
		t.Errorf("an invite signed for another node: hello %v, want true; join %v, want false", login.Check(&stolen), login.CheckJoin(&stolen))
	}
}

// No label is the beginning of another one: so no signature serves for another purpose.
func TestLabels(t *testing.T) {
	t.Parallel()
	all := []string{proto.LabelCapability + "\x00", relay.LabelPermit + "\x00", relay.LabelDoor + "\x00"}
	for _, l := range hub.Labels {
		all = append(all, "mesh-hub/1 "+l+"\x00")
	}
	for i, a := range all {
		for j, b := range all {
			if i != j && strings.HasPrefix(b, a) {
				t.Errorf("label %q is the beginning of %q", a, b)
			}
		}
	}
}

// The signature of a request covers all that the listener decides by.
func TestRequestSignature(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	if !s.request.Signed(s.dialer.ID(), s.hub.ID()) {
		t.Fatal("the request's signature is not taken")
	}
	if s.request.Signed(s.listener.ID(), s.hub.ID()) || s.request.Signed(s.dialer.ID(), s.listener.ID()) {
		t.Error("the signature is taken for another dialer or hub")
	}
	for what, change := range map[string]func(r *hub.Request){
		"session":  func(r *hub.Request) { r.Session = hub.NewID() },
		"to":       func(r *hub.Request) { r.To = "bobb" },
		"kind":     func(r *hub.Request) { r.Kind = hub.KindTTY },
		"want":     func(r *hub.Request) { r.Want = "send" },
		"seal":     func(r *hub.Request) { r.Seal = flip(r.Seal) },
		"answer_s": func(r *hub.Request) { r.AnswerS = 60 },
		"moved":    func(r *hub.Request) { r.To, r.Kind = "bobp", "ipe" },
	} {
		r := s.request
		change(&r)
		if r.Signed(s.dialer.ID(), s.hub.ID()) {
			t.Errorf("a request with another %s is taken", what)
		}
	}
	s.request.Vouchers = []string{"mv1"}
	if !s.request.Signed(s.dialer.ID(), s.hub.ID()) {
		t.Error("vouchers speak for themselves, but the signature covers them")
	}
}
