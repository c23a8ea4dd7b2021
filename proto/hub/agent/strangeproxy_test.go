package agent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/xtest"
)

// What refuses, hangs, lies or is no proxy at all is named, with its address and a hint,
// and without the password.
func TestLoginThroughStrangeProxy(t *testing.T) {
	t.Parallel()
	const ok, bad = "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"
	h := openHub(t)
	key := xtest.NewKey(t)
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	secure := web.Listener.Addr().String()
	says := func(text string, stays bool) string { return xtest.StrangeProxy(t, text, stays) }
	const refuses, wrong, lies = "ask who runs the proxy", "is the proxy right?", "the proxy has agreed"
	for _, tt := range []struct{ what, scheme, addr, want, hint string }{
		{"refuses", "http", says("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n", true), "proxy ADDR: it refuses the connection: HTTP status 403", refuses},
		{"has no route", "http", says("HTTP/1.1 502 Bad Gateway\r\n\r\n", false), "proxy ADDR: it refuses the connection: HTTP status 502", refuses},
		{"redirects", "http", says("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n", false), "proxy ADDR: it refuses the connection: HTTP status 302", refuses},
		{"closes", "http", says("", false), "proxy ADDR: it does not answer as an HTTP proxy does: unexpected EOF", wrong},
		{"hangs", "http", says("", true), "proxy ADDR: no answer", wrong},
		{"is an SSH server", "http", says("SSH-2.0-OpenSSH_9\x1b[2J\r\n", true), `proxy ADDR: it does not answer as an HTTP proxy does: malformed HTTP response "SSH-2.0-OpenSSH_9\x1b[2J"`, wrong},
		{"is HTTPS", "http", secure, "proxy ADDR: it does not answer as an HTTP proxy does: ", wrong},
		{"has another certificate", "https", secure, "proxy ADDR: x509: ", wrong},
		{"is no HTTPS", "https", says(bad, false), "proxy ADDR: tls: ", wrong},
		{"hangs behind", "http", says(ok, true), "through proxy ADDR: no answer", lies},
		{"closes behind", "http", says(ok, false), "through proxy ADDR: ", lies},
		{"is not there", "http", "127.0.0.1:1", "proxy ADDR: dial tcp ADDR: ", wrong},
		{"SOCKS is not there", "socks5", "127.0.0.1:1", "proxy ADDR: dial tcp ADDR: ", wrong},
		{"SOCKS hangs", "socks5", says("", true), "proxy ADDR, or behind it: no answer", wrong},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if strings.Contains(tt.want, "no answer") { // instead of the 15 s of a login; the proxy must agree within this time
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
				defer cancel()
			}
			via := &url.URL{Scheme: tt.scheme, User: url.UserPassword("alice", "s3cret"), Host: tt.addr}
			_, err := agent.Dial(ctx, agent.Options{URL: h.URL(), Key: key, Instance: hub.NewID(), Proxy: http.ProxyURL(via)}, func(hub.Event) {})
			xtest.WantCode(t, "Dial", err, proto.Unreachable)
			want := strings.ReplaceAll(tt.want, "ADDR", tt.addr)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q and no password", err, want)
			}
			if hints := proto.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], tt.hint) {
				t.Errorf("got hints %q, want one with %q", hints, tt.hint)
			}
		})
	}
}
