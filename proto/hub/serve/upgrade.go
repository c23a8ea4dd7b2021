package serve

import (
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/relay"
)

// drainRetry is what a node is told that connects to a hub that is about to end.
const drainRetry = 5 * time.Second

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
			writeProblem(w, refuse(hub.CodeHeaders, "the headers are longer than 8 KiB"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// network returns what answers requests over the network. Those that ask whether the hub
// is alive may name any host: they come from a probe that knows an address.
func (s *Server) network() http.Handler {
	api := s.handler(s.routes(), s.bearer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.stripPath(r)
		if at := s.visit(r); !isProbe(r.URL.Path) {
			if err := s.checkRequest(r, at); err != nil {
				s.refuse(w, at, err)
				return
			}
		}
		switch {
		case r.URL.Path == hub.HubPathWebSocket:
			s.upgrade(w, r)
		case r.URL.Path == relay.PathWebSocket && s.o.Relay != nil:
			toRelay(s.o.Relay, w, r, s.visit(r).from)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// refuse answers the request of a stranger, who then makes a connection for the next one.
func (s *Server) refuse(w http.ResponseWriter, at visit, err error) {
	s.refusals.info(time.Now(), "request refused", "from", at.from, "why", err)
	w.Header().Set("Connection", "close")
	writeProblem(w, err)
}

func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// stripPath removes the path of the hub's URL: a proxy may leave it or take it away.
func (s *Server) stripPath(r *http.Request) {
	for _, u := range s.o.URLs {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), u.Path)
		if u.Path == "" || !ok || !strings.HasPrefix(rest, "/") {
			continue
		}
		if path, err := url.PathUnescape(rest); err == nil {
			r.URL.Path, r.URL.RawPath = path, rest
		}
		return
	}
}

// upgrade makes a request to PATH/ws a WebSocket, and begins the login.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	at := s.visit(r)
	nonce, err := s.checkUpgrade(w, r)
	if err != nil {
		s.refuse(w, at, err)
		return
	}
	login := hub.Login{Origin: at.origin, Hub: s.o.Key.ID(), ClientNonce: nonce, HubNonce: hub.NewNonce(hub.NonceBytes), Binding: make([]byte, hub.BindingBytes)}
	if r.TLS != nil {
		if login.Binding, err = r.TLS.ExportKeyingMaterial(hub.ExporterLabel, nil, hub.BindingBytes); err != nil {
			writeProblem(w, malformed(errors.New("no TLS exporter")))
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
	s.wg.Add(1)
	defer s.wg.Done()
	c.serve(login, at.from)
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

// checkUpgrade returns the client's nonce, or why its request is no WebSocket of a node.
func (s *Server) checkUpgrade(w http.ResponseWriter, r *http.Request) (nonce []byte, err error) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		return nil, refuse(hub.CodeBadMethod, "want GET")
	}
	if !offersSubprotocol(r) {
		return nil, malformed(errors.New("want the WebSocket subprotocol " + hub.Subprotocol))
	}
	if nonce, err = hex.DecodeString(r.URL.Query().Get("n")); err != nil || len(nonce) != hub.ClientNonceBytes {
		return nil, malformed(errors.New("the query n is a nonce of 16 bytes in hexadecimal"))
	}
	if s.o.Broker.Draining() {
		return nil, &broker.RetryLater{Err: refuse(hub.CodeDraining, "the hub is about to end"), After: drainRetry}
	}
	return nonce, nil
}

// checkRequest returns why a request may not come from where it does, or go to the host
// that it names; nil if all is well. [websocket.Accept] would compare the origin with the
// host alone: a page of any site passes that once its name points here.
func (s *Server) checkRequest(r *http.Request, v visit) error {
	known := slices.ContainsFunc(s.o.URLs, func(u hub.URL) bool { return u.Origin() == v.origin })
	origin := r.Header.Get("Origin")
	switch {
	case origin != "" && !slices.ContainsFunc(s.o.URLs, func(u hub.URL) bool { return browserOrigin(u) == strings.ToLower(origin) }):
		return refuse(hub.CodeBadOrigin, "the origin is not this hub's")
	case (origin != "" || len(s.o.URLs) > 0) && !known:
		return refuse(hub.CodeMisdirect, "the host is not this hub's")
	case v.plain && !v.proxy && !isLoopback(r.Host):
		return refuse(hub.CodeMisdirect, "without TLS the hub is localhost")
	}
	return nil
}

// browserOrigin returns the Origin header of a page of the hub (RFC 6454, section 7).
func browserOrigin(u hub.URL) string {
	scheme, port := "http", ":80"
	if u.TLS {
		scheme, port = "https", ":443"
	}
	return scheme + "://" + strings.TrimSuffix(u.Host, port)
}

// isLoopback reports whether the Host of a request names this machine itself.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(withPort(hostport, false))
	return err == nil && proto.IsLoopbackHost(host)
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

// observed returns the address of a client as the hub tells it.
func observed(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}
