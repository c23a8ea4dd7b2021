package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"mesh/proto"
	"mesh/proto/relay"
)

// maxAnswerBytes bounds what is read of an answer: of its header, and of its body.
const maxAnswerBytes = 64 << 10

// later is the failure of an attempt that a server wants to be repeated only after some
// time.
type later struct {
	error
	after time.Duration
}

// Unwrap returns the failure.
func (l *later) Unwrap() error { return l.error }

// post sends a request, and returns nil if the server has taken it. It follows no
// redirect: another place must not get the secrets of this one.
func (c Channel) post(ctx context.Context, to string, header http.Header, body []byte) error {
	if err := c.CheckURL(to); err != nil { // that of a file is checked here only
		return proto.Errorf(proto.Config, "%s: %w", c.URLFile, err)
	}
	transport, err := c.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return proto.Errorf(proto.Config, "the URL cannot be used")
	}
	r.Header = header
	r.Header.Set("User-Agent", "mesh")
	answer, err := client.Do(r)
	if err != nil {
		return noAnswer(ctx, err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswerBytes)) // the status says all
	return refusal(answer)
}

func (c Channel) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: c.dial, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxAnswerBytes, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		OnProxyConnectResponse: proxyAnswer,
	}
	if c.CAFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, &proto.Error{Code: proto.Config, Err: err}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, proto.Errorf(proto.Config, "%s: no certificate is in it", c.CAFile)
	}
	t.TLSClientConfig.RootCAs = roots
	return t, nil
}

// proxyAnswer says why a proxy has refused a connection. No word of the proxy is in it.
func proxyAnswer(ctx context.Context, proxy *url.URL, connect *http.Request, answer *http.Response) error {
	if err := relay.ProxyAnswer(ctx, proxy, connect, answer); err != nil {
		return &proto.Error{Code: proto.Unreachable, Err: err}
	}
	return nil
}

// noAnswer gives the failure of a request its code. Nothing of what the server or a proxy
// sent is repeated, nor the URL.
func noAnswer(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	switch {
	case is[*proto.Error](err): // proxyAnswer
		return err
	case ctx.Err() != nil || os.IsTimeout(err):
		return proto.Errorf(proto.Timeout, "no answer in time")
	case isCertificate(err):
		return proto.Errorf(proto.Identity, "%w", err)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return proto.Errorf(proto.Truncated, "the server closed the connection before its answer")
	case is[*net.DNSError](err), is[*net.OpError](err):
		return proto.Errorf(proto.Unreachable, "%w", err)
	}
	return proto.Errorf(proto.Protocol, "the answer is not one of an HTTP server")
}

// is reports whether there is an error of a type in err's chain.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// isCertificate reports whether err says that the server is not the expected one.
func isCertificate(err error) bool {
	return is[*tls.CertificateVerificationError](err) || is[x509.HostnameError](err) || is[x509.UnknownAuthorityError](err)
}

// refusal returns what the status of an answer says, nil for one that the server has
// taken.
func refusal(answer *http.Response) error {
	said := fmt.Errorf("the server answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	switch s := answer.StatusCode; {
	case s/100 == 2:
		return nil
	case s/100 == 3:
		err := proto.Errorf(proto.Declined, "%w, which is not followed", said)
		return proto.Hint(err, "set the URL to where the server redirects")
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return proto.Errorf(proto.Denied, "%w", said)
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		return &later{proto.Errorf(proto.Busy, "%w", said), retryAfter(answer.Header.Get("Retry-After"))}
	case s/100 == 5:
		return proto.Errorf(proto.Unreachable, "%w", said)
	}
	return proto.Errorf(proto.Declined, "%w", said)
}

// retryAfter reads a header Retry-After (RFC 9110, section 10.2.3).
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}
