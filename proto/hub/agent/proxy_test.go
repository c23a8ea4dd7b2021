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

// A node logs in through an HTTP proxy. The proof of the hub is bound to the TLS connection
// through it, as without one.
func TestLoginThroughProxy(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	key := xtest.NewKey(t)
	if err := h.AddMember(key.ID()); err != nil {
		t.Fatal(err)
	}
	proxy := xtest.Proxy(t, "alice", "s3cret")
	for _, tt := range []struct {
		what string
		user *url.Userinfo
		want string // of the error; "" if it works
	}{
		{"right password", url.UserPassword("alice", "s3cret"), ""},
		{"wrong password", url.UserPassword("alice", "s3cret2"), "refuses the name and the password (HTTP status 407)"},
		{"no password", nil, "wants a name and a password (HTTP status 407)"},
	} {
		via := *proxy
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
		if err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: got %q, want %q in it and no password", tt.what, err, tt.want)
		}
	}
}
