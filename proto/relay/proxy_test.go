package relay_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

func TestProxy(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	d := startDoors(t, relay.Options{}, relay.Limits{})
	proxy := xtest.Proxy(t, "alice", secret)
	for i, tt := range []struct {
		what string
		user *url.Userinfo
		want string // of the error; "" if it works
	}{
		{"right password", url.UserPassword("alice", secret), ""},
		{"wrong password", url.UserPassword("alice", "other"+secret), "refuses the name and the password (HTTP status 407)"},
		{"no password", nil, "wants a name and a password (HTTP status 407)"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			session := byte(i + 1)
			told, joined := d.place(relay.DoorTCP, session, relay.RoleListener)
			want(t, told, relay.Waiting)
			via := *proxy
			via.User = tt.user
			client := d.client(relay.RoleDialer)
			client.Proxy = http.ProxyURL(&via)
			// With a proxy the plain door is not tried.
			c, err := client.Join(t.Context(), []relay.Entry{d.entry(relay.DoorTCP, session, relay.RoleDialer), d.entry(relay.DoorWSS, session, relay.RoleDialer)}, nil)
			if tt.want != "" {
				xtest.WantCode(t, "Join", err, proto.Unreachable)
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
					t.Errorf("got %v, want %q and no password", err, tt.want)
				}
				if hints := proto.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], "NTLM or Kerberos") {
					t.Errorf("got hints %q, want one about local helper proxies", hints)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.Door() != relay.DoorWSS || !c.Proxied() || c.Relay() != "127.0.0.1" || c.RemoteAddr().String() != proxy.Host {
				t.Errorf("got door %s, proxied %v, relay %s, address %v", c.Door(), c.Proxied(), c.Relay(), c.RemoteAddr())
			}
			l := <-joined
			send(t, c, l, xtest.Random(300000))
			send(t, l, c, xtest.Random(300000))
		})
	}
	for _, tt := range []struct{ addr, want, hint string }{
		{xtest.StrangeProxy(t, "HTTP/1.1 403 Forbidden\r\n\r\n", false), "proxy ADDR: it refuses the connection: HTTP status 403", "ask who runs the proxy to allow CONNECT to 127.0.0.1:"},
		{xtest.StrangeProxy(t, "SSH-2.0-OpenSSH_9\r\n", false), "proxy ADDR: it does not answer as an HTTP proxy does: ", "is the proxy right?"},
		{xtest.StrangeProxy(t, "HTTP/1.1 200 OK\r\n\r\n", false), "through proxy ADDR: EOF", "the proxy has agreed"},
		{closedPort(t), "proxy ADDR: dial tcp ADDR: ", "is the proxy right?"},
	} {
		client := d.client(relay.RoleDialer)
		client.Proxy = http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("alice", secret), Host: tt.addr})
		_, err := client.Join(t.Context(), []relay.Entry{d.entry(relay.DoorWSS, 1, relay.RoleDialer)}, nil)
		xtest.WantCode(t, tt.want, err, proto.Unreachable)
		want := strings.ReplaceAll(tt.want, "ADDR", tt.addr)
		if hints := proto.Hints(err); err == nil || !strings.Contains(err.Error(), want) || len(hints) != 1 || !strings.Contains(hints[0], tt.hint) {
			t.Errorf("got %v with hints %q, want %q with %q", err, hints, want, tt.hint)
		}
	}
	client := d.client(relay.RoleDialer)
	client.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("bad HTTPS_PROXY") }
	_, err := client.Join(t.Context(), []relay.Entry{d.entry(relay.DoorWSS, 1, relay.RoleDialer)}, nil)
	xtest.WantCode(t, "malformed proxy", err, proto.Unreachable)
}

// The door of WebSockets is reached through a SOCKS5 proxy too, with a name and a password.
func TestSOCKS(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	entry := d.entry(relay.DoorWSS, 1, relay.RoleDialer)
	u, err := url.Parse(entry.URL)
	if err != nil {
		t.Fatal(err)
	}
	via := xtest.SOCKS(t, "alice", "s3cret", u.Host)
	client := d.client(relay.RoleDialer)
	client.Proxy = http.ProxyURL(via)
	for user, want := range map[*url.Userinfo]string{nil: "no acceptable authentication methods", url.UserPassword("alice", "s3cret2"): "authentication failed"} {
		via.User = user
		_, err := client.Join(t.Context(), []relay.Entry{entry}, nil)
		xtest.WantCode(t, want, err, proto.Unreachable)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("got %v, want %q and no password", err, want)
		}
	}
	via.User = url.UserPassword("alice", "s3cret")
	told, joined := d.place(relay.DoorTCP, 1, relay.RoleListener)
	want(t, told, relay.Waiting)
	c, err := client.Join(t.Context(), []relay.Entry{entry}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Door() != relay.DoorWSS || !c.Proxied() || c.RemoteAddr().String() != via.Host {
		t.Errorf("got door %s, proxied %v, address %v", c.Door(), c.Proxied(), c.RemoteAddr())
	}
	l := <-joined
	send(t, c, l, xtest.Random(300000))
	send(t, l, c, xtest.Random(300000))
}

// The first door that gives a status wins. The other one is not asked, or closed.
func TestRace(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // it answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	for i, tt := range []struct{ what, plain, want string }{
		{"both", d.addr, relay.DoorTCP}, {"closed plain door", closedPort(t), relay.DoorWSS}, {"deaf plain door", deaf.Addr().String(), relay.DoorWSS},
	} {
		session := byte(i + 1)
		told, joined := d.place(relay.DoorTCP, session, relay.RoleListener)
		want(t, told, relay.Waiting)
		web := d.entry(relay.DoorWSS, session, relay.RoleDialer)
		c, err := d.client(relay.RoleDialer).Join(t.Context(), []relay.Entry{web, {URL: "tcp://" + tt.plain, Permit: web.Permit}}, nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.what, err)
		}
		if c.Door() != tt.want {
			t.Errorf("%s: joined by %s, want %s", tt.what, c.Door(), tt.want)
		}
		c.Close()
		(<-joined).Close()
	}
	until(t, "no pair", func() bool { return d.server.Stats().Pairs == 0 })
	if n := d.server.Stats().Waiting; n != 0 {
		t.Errorf("got %d places, want none", n)
	}
}
