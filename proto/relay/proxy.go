package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"mesh/proto"
)

const (
	proxyPasswordHint = "HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT gives them; a proxy that wants NTLM or Kerberos needs a local helper proxy, for example px or cntlm"
	proxyWrongHint    = "is the proxy right? http://HOST:PORT is an HTTP proxy, https:// one with TLS, socks5:// a SOCKS5 proxy"
	proxyLiesHint     = "the proxy has agreed and something else answers: a proxy or firewall that looks into connections may need an exception"
)

// errNoAnswer is the cause of an attempt that has taken too long.
var errNoAnswer = errors.New("no answer")

// ProxyWay follows one connection of an [http.Transport], and says what a proxy has to do
// with its failure. The zero value is ready to use, for one connection.
type ProxyWay struct {
	mu     sync.Mutex
	proxy  *url.URL // nil without a proxy
	passed bool     // the proxy has agreed to CONNECT
}

// Follow makes the transport tell this ProxyWay about its proxy.
func (w *ProxyWay) Follow(t *http.Transport) {
	if proxyFor := t.Proxy; proxyFor != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			u, err := proxyFor(r)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.proxy = u
			return u, err
		}
	}
	t.OnProxyConnectResponse = func(ctx context.Context, proxy *url.URL, connect *http.Request, r *http.Response) error {
		err := ProxyAnswer(ctx, proxy, connect, r)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.passed = err == nil
		return err
	}
}

// Explain says what has failed at the proxy or behind it, without its password and with a
// hint. It returns nil if there is no proxy, or if what has failed is the verification of
// the host behind it.
func (w *ProxyWay) Explain(err error) error {
	if at := w.AtProxy(err); at != nil {
		return at
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proxy == nil || err == nil || isVerification(err) {
		return nil
	}
	if isLate(err) {
		err = errNoAnswer
	}
	return proto.Hint(fmt.Errorf("through proxy %s: %w", w.proxy.Host, withoutURL(err)), proxyLiesHint)
}

// AtProxy is Explain for what has failed at the proxy itself; else it returns nil.
func (w *ProxyWay) AtProxy(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proxy == nil || err == nil || w.passed {
		return nil
	}
	at := "proxy " + w.proxy.Host
	err = withoutURL(err)
	if strings.HasPrefix(err.Error(), at) { // ProxyAnswer
		return err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && (e.Op == "proxyconnect" || e.Op == "socks connect") {
		return proto.Hint(fmt.Errorf("%s: %w", at, e.Err), proxyWrongHint)
	}
	switch {
	case isLate(err):
		err = errNoAnswer
	case !strings.HasPrefix(w.proxy.Scheme, "socks"):
		err = fmt.Errorf("it does not answer as an HTTP proxy does: %w", err)
	}
	if strings.HasPrefix(w.proxy.Scheme, "socks") { // nothing tells whether it has agreed
		at += ", or behind it"
	}
	return proto.Hint(fmt.Errorf("%s: %w", at, err), proxyWrongHint)
}

func isLate(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNoAnswer)
}

// isVerification reports whether an error is that of a certificate or key.
func isVerification(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	return certificate || proto.CodeOf(err) == proto.Identity
}

// withoutURL is an error without the URL in its text, which may have a nonce.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// ProxyAnswer is an OnProxyConnectResponse of [http.Transport]. It says why a proxy has
// refused CONNECT, with a hint.
func ProxyAnswer(_ context.Context, proxy *url.URL, connect *http.Request, r *http.Response) error {
	at := "proxy " + proxy.Host
	switch {
	case r.StatusCode == http.StatusOK:
		return nil
	case r.StatusCode != http.StatusProxyAuthRequired:
		host, _, _ := net.SplitHostPort(connect.Host)
		return proto.Hint(fmt.Errorf("%s: it refuses the connection: HTTP status %d", at, r.StatusCode),
			fmt.Sprintf("ask who runs the proxy to allow CONNECT to %s; NO_PROXY=%s goes without the proxy", connect.Host, host))
	case proxy.User == nil:
		return proto.Hint(fmt.Errorf("%s: it wants a name and a password (HTTP status 407)", at), proxyPasswordHint)
	}
	return proto.Hint(fmt.Errorf("%s: it refuses the name and the password (HTTP status 407)", at), proxyPasswordHint)
}
