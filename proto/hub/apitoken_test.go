package hub_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/xtest"
)

// A token reads as it was written, with the right key alone.
func TestAPIToken(t *testing.T) {
	t.Parallel()
	k, other := xtest.NewKey(t), xtest.NewKey(t)
	key := k.Derive(hub.APIKeyLabel)
	want := hub.APIToken{Scopes: []hub.Scope{hub.ScopeRead, hub.ScopeAdmin}, Expires: time.Unix(1900000000, 0), Node: other.ID()}
	text := want.Encode(key)
	got, err := hub.ParseAPIToken(text)
	if err != nil || !reflect.DeepEqual(got.Scopes, want.Scopes) || !got.Expires.Equal(want.Expires) || got.Node != want.Node || got.Lasting {
		t.Errorf("got %+v %v %v, %v; want %+v", got.Scopes, got.Expires, got.Node, err, want)
	}
	if !got.Verify(key) || got.Verify(other.Derive(hub.APIKeyLabel)) || got.Verify(k.Derive("mesh-hub/1 other")) || got.Verify(nil) || want.Verify(key) {
		t.Error("Verify: want true for the hub's key alone, and for what was parsed")
	}
	kept := hub.NewLastingToken()
	got, err = hub.ParseAPIToken(kept.Encode(nil))
	if err != nil || !got.Lasting || got.ID != kept.ID || got.Secret != kept.Secret || got.Verify(key) {
		t.Errorf("lasting: got %v, %v", got.Lasting, err)
	}
	if len(kept.IDText()) != 16 || strings.Contains(kept.Encode(nil), kept.IDText()) {
		t.Errorf("its id is %s", kept.IDText())
	}
}

// FuzzAPIToken: what is read has one form.
func FuzzAPIToken(f *testing.F) {
	key := make([]byte, 32)
	f.Add(hub.NewLastingToken().Encode(nil))
	f.Add(hub.APIToken{Scopes: hub.Scopes, Expires: time.Unix(1, 0), Node: [32]byte{1}}.Encode(key))
	f.Add("mh1")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := hub.ParseAPIToken(text)
		if err != nil {
			if len(text) > 8 && strings.Contains(err.Error(), text[3:]) {
				t.Fatalf("the error repeats %q", text)
			}
			return
		}
		if again := got.Encode(key); got.Lasting && again != text || !got.Lasting && (len(again) != len(text) || got.Verify(key) != (again == text)) {
			t.Fatalf("got %q, want %q", again, text)
		}
	})
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, s := range hub.Scopes {
		if !hub.HasScope([]hub.Scope{s}, s) || !hub.HasScope([]hub.Scope{hub.ScopeAdmin}, s) || s != hub.ScopeAdmin && hub.HasScope([]hub.Scope{s}, hub.ScopeAdmin) {
			t.Errorf("%s: admin contains it, and it does not contain admin", s)
		}
	}
	for _, list := range [][]hub.Scope{{"root"}, {hub.ScopeRead, hub.ScopeRead}, {""}} {
		if hub.CheckScopes(list) == nil {
			t.Errorf("%q: want an error", list)
		}
	}
}
