package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/identity"
)

// proxyFor returns the proxy for a request; nil if there is none.
func (c *Client) proxyFor(r *http.Request) (*url.URL, error) {
	if c.Proxy != nil {
		return c.Proxy(r)
	}
	return http.ProxyFromEnvironment(r)
}

// isProxied reports whether the WebSocket of a URL goes through a proxy.
func (c *Client) isProxied(u *url.URL) (bool, error) {
	https := *u
	https.Scheme = map[string]string{"wss": "https", "ws": "http"}[u.Scheme]
	proxy, err := c.proxyFor(&http.Request{Method: http.MethodGet, URL: &https})
	return proxy != nil, err
}

// connectWeb opens the WebSocket.
func (t *try) connectWeb(ctx context.Context) error {
	var below *gather
	transport := &http.Transport{
		Proxy: t.c.proxyFor, TLSClientConfig: t.tls(), DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := t.c.dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			below = &gather{Conn: conn}
			return below, nil
		},
	}
	t.way.Follow(transport)
	ws, resp, err := websocket.Dial(ctx, t.entry.URL, &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:   http.Header{"Authorization": {Scheme + " " + t.entry.Permit}},
		Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return t.webError(resp, err)
	}
	t.conn = newWSConn(newMessages(ws), below)
	if ws.Subprotocol() != Subprotocol {
		_ = t.conn.Close()
		return errors.New("it is no relay: it does not speak " + Subprotocol)
	}
	return nil
}

// tls returns how the relay is verified: by the key in its URL, or else as the client says.
func (t *try) tls() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case t.pin != identity.ID{}:
		identity.VerifyBy(cfg, func(s tls.ConnectionState) error {
			id, err := identity.OfCertificates(s.PeerCertificates)
			if err == nil && id != t.pin {
				err = fmt.Errorf("its key is %s, want %s", id.Short(), t.pin.Short())
			}
			return err
		})
	case t.c.TLS != nil:
		cfg = t.c.TLS.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}

// webError says why there is no WebSocket.
func (t *try) webError(resp *http.Response, err error) error {
	switch {
	case resp == nil:
		if told := t.way.Explain(err); told != nil {
			return told
		}
		if e, ok := errors.AsType[*url.Error](err); ok { // its text repeats the URL
			err = e.Err
		}
		return err
	case resp.StatusCode == http.StatusTooManyRequests:
		return &proto.Error{Code: proto.Busy, Err: &Refused{proto.Busy}}
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return fmt.Errorf("it is no relay: %w", err)
	}
	return fmt.Errorf("it is no relay: HTTP status %d", resp.StatusCode)
}
