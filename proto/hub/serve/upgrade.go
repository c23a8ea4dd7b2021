package serve

import (
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"mesh/proto/hub"
)

// limitHeaders refuses a request whose head is too long: net/http allows 4096 bytes more
// than MaxHeaderBytes.
func limitHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := len(r.Method) + len(r.RequestURI) + len(r.Host)
		for name, values := range r.Header {
			for _, v := range values {
				n += len(name) + len(v) + len(": \r\n")
			}
		}
		if n > maxHeaderBytes {
			http.Error(w, "headers too long", http.StatusRequestHeaderFieldsTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// upgrade makes a request to PATH/ws a WebSocket, and begins the login.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	if !s.isWebSocketPath(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	at := s.visit(r)
	if status, why := s.checkRequest(r, at); status != 0 {
		s.o.Log.Info("request refused", "from", at.from, "status", status, "why", why)
		http.Error(w, why, status)
		return
	}
	nonce, err := hex.DecodeString(r.URL.Query().Get("n"))
	if err != nil || len(nonce) != hub.ClientNonceBytes {
		http.Error(w, "the query n is a nonce of 16 bytes in hexadecimal", http.StatusBadRequest)
		return
	}
	login := hub.Login{Origin: at.origin, Hub: s.o.Key.ID(), ClientNonce: nonce, HubNonce: hub.NewNonce(hub.NonceBytes), Binding: make([]byte, hub.BindingBytes)}
	if r.TLS != nil {
		if login.Binding, err = r.TLS.ExportKeyingMaterial(hub.ExporterLabel, nil, hub.BindingBytes); err != nil {
			http.Error(w, "no TLS exporter", http.StatusBadRequest)
			return
		}
	}
	c := &conn{s: s, entrance: entranceOf(r.Context())}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{hub.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
		OriginPatterns: []string{"*"}, // checkRequest has checked the origin
		OnPingReceived: c.onPing,
	})
	if err != nil {
		return // Accept has answered
	}
	c.ws = ws
	// Another goroutine reads: this one's stack has grown with the TLS handshake.
	s.wg.Go(func() { c.serve(login, at.from) })
}

// visit is where a request comes from and which hub it names.
type visit struct {
	from   netip.AddrPort
	origin string
	plain  bool // without TLS up to here
	proxy  bool
}

func (s *Server) visit(r *http.Request) visit {
	v := visit{plain: r.TLS == nil}
	if e := entranceOf(r.Context()); e != nil {
		v.from = e.at
	}
	v.proxy = s.isProxy(v.from.Addr())
	u := hub.URL{TLS: !v.plain || v.proxy, Host: withPort(r.Host, !v.plain || v.proxy)}
	v.origin = u.Origin()
	if v.proxy {
		list := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			v.from = netip.AddrPortFrom(a.Unmap(), 0)
		}
	}
	return v
}

// withPort returns a Host header in lower case with its port.
func withPort(host string, tls bool) string {
	host = strings.ToLower(host)
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := "80"
	if tls {
		port = "443"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// checkRequest returns the HTTP status with which a request is refused, or 0. It comes
// before [websocket.Accept], which compares the origin with the host alone: a page of
// any site passes that once its name points here.
func (s *Server) checkRequest(r *http.Request, v visit) (status int, why string) {
	known := slices.ContainsFunc(s.o.URLs, func(u hub.URL) bool { return u.Origin() == v.origin })
	origin := r.Header.Get("Origin")
	switch {
	case origin != "" && !slices.ContainsFunc(s.o.URLs, func(u hub.URL) bool { return browserOrigin(u) == strings.ToLower(origin) }):
		return http.StatusForbidden, "the origin is not this hub's"
	case (origin != "" || len(s.o.URLs) > 0) && !known:
		return http.StatusMisdirectedRequest, "the host is not this hub's"
	case v.plain && !v.proxy && !isLoopback(r.Host):
		return http.StatusMisdirectedRequest, "without TLS the hub is localhost"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "want GET"
	case !offersSubprotocol(r):
		return http.StatusBadRequest, "want the WebSocket subprotocol " + hub.Subprotocol
	}
	return 0, ""
}

// browserOrigin returns the Origin header of a page of the hub (RFC 6454, section 7).
func browserOrigin(u hub.URL) string {
	scheme, port := "http", ":80"
	if u.TLS {
		scheme, port = "https", ":443"
	}
	return scheme + "://" + strings.TrimSuffix(u.Host, port)
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(withPort(hostport, false))
	ip, ipErr := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || ipErr == nil && ip.IsLoopback())
}

func offersSubprotocol(r *http.Request) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for word := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(word) == hub.Subprotocol {
				return true
			}
		}
	}
	return false
}

// isWebSocketPath accepts the path of each URL, and without URLs the one at the root.
func (s *Server) isWebSocketPath(path string) bool {
	if len(s.o.URLs) == 0 {
		return path == hub.HubPathWebSocket
	}
	return slices.ContainsFunc(s.o.URLs, func(u hub.URL) bool { return path == u.Path+hub.HubPathWebSocket || path == hub.HubPathWebSocket })
}
