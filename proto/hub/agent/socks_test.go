package agent_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/xtest"
)

// A node logs in through a SOCKS5 proxy with a name and a password. An error says what the
// proxy has refused, and never the password.
func TestLoginThroughSOCKS(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	key := xtest.NewKey(t)
	if err := h.AddMember(key.ID()); err != nil {
		t.Fatal(err)
	}
	open := xtest.SOCKS(t, "alice", "s3cret", h.URL().Host)
	closed := xtest.SOCKS(t, "alice", "s3cret", "")
	for _, tt := range []struct {
		what  string
		proxy *url.URL
		user  *url.Userinfo
		want  string // of the error; "" if it works
	}{
		{"right password", open, url.UserPassword("alice", "s3cret"), ""},
		{"wrong password", open, url.UserPassword("alice", "s3cret2"), "authentication failed"},
		{"no password", open, nil, "no acceptable authentication methods"},
		{"refused", closed, url.UserPassword("alice", "s3cret"), "not allowed by ruleset"},
		{"no proxy", &url.URL{Scheme: "socks5", Host: "127.0.0.1:1"}, nil, "connection refused"},
	} {
		via := *tt.proxy
		via.User = tt.user
		c, err := agent.Dial(t.Context(), agent.Options{URL: h.URL(), Key: key, Instance: hub.NewID(), Proxy: http.ProxyURL(&via)}, func(hub.Event) {})
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.what, err)
				continue
			}
			c.Close()
			continue
		}
		xtest.WantCode(t, tt.what, err, proto.Unreachable)
		if err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: got %q, want %q in one line and no password", tt.what, err, tt.want)
		}
	}
}
