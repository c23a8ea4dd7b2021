package hub_test

import (
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/xtest"
)

func TestURL(t *testing.T) {
	t.Parallel()
	id := xtest.NewKey(t).ID().String()
	for text, want := range map[string]string{
		"wss://hub.example":                  "wss://hub.example:443",
		"wss://HUB.example:8443/":            "wss://hub.example:8443",
		"wss://hub.example/a/b":              "wss://hub.example:443/a/b",
		"wss://[2001:db8::1]":                "wss://[2001:db8::1]:443",
		"wss://203.0.113.9:443#" + id:        "wss://203.0.113.9:443#" + id,
		"wss://hub.example#" + id + ",proxy": "wss://hub.example:443#" + id + ",proxy",
		"wss://hub.example#,proxy":           "wss://hub.example:443#,proxy",
		"ws://localhost:80":                  "ws://localhost:80",
		"ws://127.0.0.9":                     "ws://127.0.0.9:80",
		"ws://[::1]:8080":                    "ws://[::1]:8080",
		"ws://LOCALHOST":                     "ws://localhost:80",
		"ws://[::1%25lo]":                    "",
		"ws://hub.example":                   "",
		"ws://10.0.0.1":                      "",
		"ws://localhost.example":             "",
		"https://hub.example":                "",
		"hub.example":                        "",
		"wss://":                             "",
		"wss://:443":                         "",
		"wss://hub.example:0":                "",
		"wss://hub.example:99999":            "",
		"wss://user@hub.example":             "",
		"wss://hub.example?n=1":              "",
		"wss://hub.example?":                 "",
		"wss://hub.example#":                 "",
		"wss://hub.example#mk1abc":           "",
		"wss://hub.example#" + id + ",Proxy": "",
		"wss://hub.example/a b":              "",
		"wss://hüb.example":                  "",
		"wss://" + strings.Repeat("a", 250):  "",
		"wss:hub.example":                    "",
		"wss://hub.example\n":                "",
	} {
		u, err := hub.ParseURL(text)
		if got := u.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
		if err != nil {
			continue
		}
		if again, err := hub.ParseURL(u.String()); err != nil || again != u {
			t.Errorf("%q: read again: got %+v, %v; want %+v", text, again, err, u)
		}
	}
}

func TestURLParts(t *testing.T) {
	t.Parallel()
	u, err := hub.ParseURL("wss://Hub.example/x/#,proxy")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := u.Origin(), "wss://hub.example:443"; got != want {
		t.Errorf("origin: got %q, want %q", got, want)
	}
	if got, want := u.WebSocket([]byte{1, 0xab}), "wss://hub.example:443/x/ws?n=01ab"; got != want {
		t.Errorf("WebSocket: got %q, want %q", got, want)
	}
	if got, want := u.Name(), "hub.example"; got != want {
		t.Errorf("name: got %q, want %q", got, want)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"b": true, "bob": true, "7bob": true, "bob.example_2-x": true, strings.Repeat("a", 63): true, "7-guitar-crossover": true,
		"": false, strings.Repeat("a", 64): false, "Bob": false, ".bob": false, "-bob": false, "_bob": false, "bob/x": false, "b b": false, "bób": false,
		"mk1bob": false, "mesh1bob": false, "mi1bob": false, "mv1bob": false, "7-guitar-crossover-lunar": false, "bob\x00": false, "bob@h": false,
	} {
		if err := hub.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: got %v, want valid %v", name, err, ok)
		}
	}
	for room, ok := range map[string]bool{"ops": true, "": false, "Ops": false, strings.Repeat("a", 64): false} {
		if err := hub.CheckRoom(room); (err == nil) != ok {
			t.Errorf("room %q: got %v, want valid %v", room, err, ok)
		}
	}
}

func TestInvite(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"wss://hub.example", "wss://[2001:db8::1]:8443/a", "ws://localhost:80", "wss://hub.example#,proxy"} {
		i := newInvite(t, url)
		text, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := hub.ParseInvite(text)
		if err != nil || got.URL != i.URL || got.Seed != i.Seed || !got.Expires.Equal(i.Expires) || got.Key() != i.Key() {
			t.Errorf("%s: got %+v, %v; want %+v", url, got, err, i)
		}
		if hidden := proto.HideSecrets("join " + text); hidden != "join mi1…" {
			t.Errorf("a message shows the invite: %q", hidden)
		}
		if s := i.String(); strings.Contains(s, text[10:20]) {
			t.Errorf("the invite prints itself: %q", s)
		}
	}
}

// No damaged invite is taken for another one.
func TestDamagedInvite(t *testing.T) {
	t.Parallel()
	text, err := newInvite(t, "wss://hub.example").Encode()
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(text) {
		c := byte('a')
		if text[at] == c {
			c = 'b'
		}
		for what, damaged := range map[string]string{"changed": text[:at] + string(c) + text[at+1:], "cut": text[:at], "gap": text[:at] + text[at+1:]} {
			_, err := hub.ParseInvite(damaged)
			xtest.WantCode(t, what, err, proto.Usage)
			if err != nil && at > 20 && strings.Contains(err.Error(), text[5:15]) {
				t.Errorf("the error repeats the invite: %v", err)
			}
		}
	}
	for what, i := range map[string]hub.Invite{"no key": func() hub.Invite { i := newInvite(t, "wss://h"); i.URL.Key = [32]byte{}; return i }(), "no end": {URL: newInvite(t, "wss://h").URL}} {
		if got, err := i.Encode(); err == nil {
			t.Errorf("%s: got %q", what, got)
		}
	}
}
