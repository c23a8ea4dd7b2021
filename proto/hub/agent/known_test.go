package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func parse(t *testing.T, text string, key identity.ID, proxy bool) hub.URL {
	t.Helper()
	u, err := hub.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	u.Key, u.Proxy = key, proxy
	return u
}

// known_hubs keeps the order of asking, and refuses a hub that has changed.
func TestKnown(t *testing.T) {
	t.Parallel()
	k := agent.Known{Dir: t.TempDir()}
	key, other := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	const a, b = "wss://a.example", "wss://b.example:8443/mesh"
	for _, tt := range []struct {
		u    hub.URL
		want proto.Code
	}{
		{parse(t, b, key, false), proto.OK},
		{parse(t, a, key, true), proto.OK},
		{parse(t, b, key, false), proto.OK},
		{parse(t, b, key, true), proto.Identity}, // the proof was bound
		{parse(t, a, key, false), proto.OK},      // the proof was not
		{parse(t, b, other, false), proto.Identity},
		{parse(t, "ws://127.0.0.1:99", key, false), proto.OK},
	} {
		xtest.WantCode(t, tt.u.String(), k.Add(tt.u), tt.want)
	}
	wantHubs(t, k, parse(t, b, key, false), parse(t, a, key, true), parse(t, "ws://127.0.0.1:99", key, false))
	if got, found, err := k.Find(parse(t, a, identity.ID{}, false)); err != nil || !found || got.Key != key {
		t.Errorf("find: got %v, %v, %v", got, found, err)
	}
	for _, want := range []bool{true, false} {
		if found, err := k.Remove(parse(t, b, other, false)); found != want || err != nil {
			t.Errorf("remove: got %v, %v, want %v", found, err, want)
		}
	}
	wantHubs(t, k, parse(t, a, key, true), parse(t, "ws://127.0.0.1:99", key, false))
}

func wantHubs(t *testing.T, k agent.Known, want ...hub.URL) {
	t.Helper()
	got, err := k.List()
	if err != nil {
		t.Fatal(err)
	}
	var texts, wants []string
	for _, u := range got {
		texts = append(texts, u.String())
	}
	for _, u := range want {
		wants = append(wants, u.String())
	}
	if strings.Join(texts, " ") != strings.Join(wants, " ") {
		t.Errorf("got %q, want %q", texts, wants)
	}
}

// Each mistake in known_hubs is an error with file and line.
func TestKnownDamaged(t *testing.T) {
	t.Parallel()
	id := xtest.NewKey(t).ID().String()
	for _, line := range []string{
		"wss://a.example", "wss://a.example " + id, "wss://a.example " + id + " maybe", "http://a.example " + id + " bound",
		"wss://a.example mk1x bound", "ws://a.example " + id + " bound", "wss://a.example " + id + " bound more",
	} {
		k := agent.Known{Dir: t.TempDir()}
		text := "# hubs\n\n" + line + "\n"
		if err := os.WriteFile(filepath.Join(k.Dir, agent.KnownFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := k.List()
		xtest.WantCode(t, line, err, proto.Config)
		if err != nil && !strings.Contains(err.Error(), agent.KnownFile+":3: ") {
			t.Errorf("%s: got %q, want the file and the line", line, err)
		}
		xtest.WantCode(t, "add after "+line, k.Add(parse(t, "wss://b.example", xtest.NewKey(t).ID(), false)), proto.Config)
	}
}
