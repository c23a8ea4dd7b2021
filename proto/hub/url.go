package hub

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"mesh/proto"
	"mesh/proto/identity"
)

// MaxURLBytes bounds the text of a hub's URL.
const MaxURLBytes = 255

// URL is where a hub is: wss://HOST[:PORT][/PATH][#mk1…[,proxy]]. A ws URL is allowed
// for addresses of the own machine only.
type URL struct {
	// TLS is true for wss.
	TLS  bool
	Host string // HOST:PORT, in lower case
	Path string // "" or begins with "/", does not end with it
	// Key is the hub's key; zero if the URL does not name it.
	Key identity.ID
	// Proxy says that TLS ends before the hub, whose proof can't name the connection.
	Proxy bool
}

// ParseURL reads a hub's URL. The error does not repeat the text, which may be a secret
// that was given in place of a URL.
func ParseURL(text string) (URL, error) {
	bad := func(why string) (URL, error) {
		return URL{}, fmt.Errorf("hub URL: %s (want wss://HOST[:PORT][/PATH][#mk1…])", why)
	}
	main, key, hasKey := strings.Cut(text, "#")
	if len(text) > MaxURLBytes || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return bad("it is too long or has characters that no URL has")
	}
	u, err := url.Parse(main)
	if err != nil || u.Scheme != "wss" && u.Scheme != "ws" {
		return bad("it does not begin with wss://")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Opaque != "" {
		return bad("it has a user or a query")
	}
	got := URL{TLS: u.Scheme == "wss", Path: strings.TrimRight(u.EscapedPath(), "/")}
	if got.Host, err = hostPort(u, got.TLS); err != nil {
		return bad("its host or port is not valid")
	}
	if !got.TLS && !proto.IsUnproxiedHost(got.Name()) {
		return bad("ws:// is for this machine only: nothing encrypts it")
	}
	if hasKey {
		key, got.Proxy = strings.CutSuffix(key, ",proxy")
		if key != "" || !got.Proxy {
			if got.Key, err = identity.ParseID(key); err != nil {
				return bad("what follows # is not a node id")
			}
		}
	}
	return got, nil
}

func hostPort(u *url.URL, tls bool) (string, error) {
	port := u.Port()
	if port == "" {
		port = "80"
		if tls {
			port = "443"
		}
	}
	addr := net.JoinHostPort(strings.ToLower(u.Hostname()), port)
	return addr, identity.CheckAddr(addr)
}

// Origin returns scheme, host and port: what the login signs.
func (u URL) Origin() string { return u.scheme() + "://" + u.Host }

// WebSocket returns the URL at which the client with this nonce opens its WebSocket.
func (u URL) WebSocket(nonce []byte) string {
	return fmt.Sprintf("%s%s%s?n=%x", u.Origin(), u.Path, HubPathWebSocket, nonce)
}

// String returns the URL with the port and the key, as people paste it.
func (u URL) String() string {
	s := u.Origin() + u.Path
	if u.Key != (identity.ID{}) || u.Proxy {
		s += "#"
	}
	if u.Key != (identity.ID{}) {
		s += u.Key.String()
	}
	if u.Proxy {
		s += ",proxy"
	}
	return s
}

// Name returns the host without the port, for people.
func (u URL) Name() string {
	host, _, err := net.SplitHostPort(u.Host)
	if err != nil {
		return proto.EscapeText(u.Host)
	}
	return host
}

func (u URL) scheme() string {
	if u.TLS {
		return "wss"
	}
	return "ws"
}
