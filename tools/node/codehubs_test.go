package node_test

import (
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// The second hub is asked for a code if the first one cannot be reached or has no such code,
// and never once the first one has it: the same number may be the code of somebody else at
// the second.
func TestCodeAtTwoHubs(t *testing.T) {
	t.Parallel()
	dead, empty := openHub(t), openHub(t)
	dead.Stop()
	var victim identity.ID
	burning := func(reason string) *hubtest.Liar {
		return openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
			var d hub.CodeDone
			if to != victim || e.Type != hub.TypeCodeDone || e.Read(&d) != nil {
				return []hub.Event{e}
			}
			burnt, err := hub.New(hub.TypeCodeBurn, &hub.CodeBurn{Box: d.Box, Reason: reason})
			if err != nil {
				panic(err)
			}
			return []hub.Event{burnt}
		})
	}
	gone, wrong, closed := burning(hub.BurnOffline), burning(hub.BurnWrong), burning(hub.BurnClosed)
	for _, tt := range []struct {
		name  string
		first hub.URL
		at    *hubtest.Liar // that has the code; nil for the second
		want  proto.Code
		asks  bool // the second hub
	}{
		{"dead", dead.URL(), nil, proto.OK, true},
		{"silent", silentHub(t), nil, proto.OK, true},
		{"no such code", empty.URL(), nil, proto.OK, true},
		{"the listener is gone", gone.URL(), gone, proto.Unreachable, false},
		{"wrong words", wrong.URL(), wrong, proto.Denied, false},
		{"the listener has ended", closed.URL(), closed, proto.Denied, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			saw := make(chan string, 1000)
			second := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event { return []hub.Event{e} })
			alice := newNode(t, at("", tt.first, second.URL()))
			second.Saw = func(from identity.ID, e hub.Event) {
				if from == alice.Key.ID() {
					saw <- e.Type
				}
			}
			of := tt.at
			if of == nil {
				of = second
			}
			bob := newNode(t, at("", of.URL()))
			victim = alice.Key.ID()
			if err := empty.AddMember(alice.Key.ID()); err != nil {
				t.Fatal(err)
			}
			w, code := bob.waitCode(t, once(wire.KindPipe))
			l, err := alice.dialText(t, code, sendOnly)
			xtest.WantCode(t, "dial", err, tt.want)
			if agent.CodeOf(err) == hub.CodeNoCode {
				t.Errorf("got the answer of the second hub: %v", err)
			}
			if err == nil {
				accepted, err := w.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				closeBoth(l, accepted)
			}
			asked := false
			for len(saw) > 0 {
				asked = <-saw == hub.TypeCodeClaim || asked
			}
			if asked != tt.asks {
				t.Errorf("the second hub was asked: got %v, want %v", asked, tt.asks)
			}
		})
	}
}
