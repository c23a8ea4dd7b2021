package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

const (
	// clockWarn is how far this machine's clock may be from the hub's without a word,
	// clockFail how far it may be before permits and certificates fail.
	clockWarn = time.Minute
	clockFail = 10 * time.Minute

	portalHint   = "this network may have a login page: open a page in a browser"
	openedHint   = "a proxy or firewall on the way opens TLS; or the URL of the hub lacks its key (#mk1…), which mesh-hub serve prints"
	firewallHint = "TCP passes and TLS does not: a firewall on the way looks into connections"
	urlHint      = "what answers there is no hub: are the port and the path of the URL right?"
)

// ask makes one HTTP request, and adds the lines about TLS, the answer and the clock. It
// reports whether a hub has answered.
func (c *hubCheck) ask(ctx context.Context) bool {
	var seen *tls.ConnectionState
	cfg := agent.TLSConfig(c.url)
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		seen = &s
		if verify != nil {
			return verify(s)
		}
		return nil
	}
	began := time.Now()
	resp, err := c.get(ctx, cfg)
	took := time.Since(began)
	if err == nil {
		seen = resp.TLS
		_ = resp.Body.Close()
	}
	if seen != nil {
		c.issuer(seen.PeerCertificates)
	}
	if err != nil {
		c.notAsked(ctx, err, seen)
		return false
	}
	if seen != nil {
		c.add(OK, "tls", tls.VersionName(seen.Version)+", "+whoseCertificate(seen.PeerCertificates), "")
	}
	return c.answered(resp, took, began.Add(took/2))
}

// get asks the hub whether it is alive.
func (c *hubCheck) get(ctx context.Context, cfg *tls.Config) (*http.Response, error) {
	at := "http" + strings.TrimPrefix(c.url.Origin(), "ws") + c.url.Path + "/healthz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: cfg, Proxy: c.o.Proxy, DisableKeepAlives: true}
	c.way.Follow(transport)
	resp, err := (&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return resp, err
}

// notAsked adds the line about a request that has not reached the hub.
func (c *hubCheck) notAsked(ctx context.Context, err error, seen *tls.ConnectionState) {
	check := "tls"
	if !c.url.TLS || seen != nil && verified(err) {
		check = "http"
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if at := c.way.AtProxy(err); at != nil {
		c.fail("proxy", at, "")
		return
	}
	var certs []*x509.Certificate
	if seen != nil {
		certs = seen.PeerCertificates
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		certs = e.UnverifiedCertificates
		c.issuer(certs)
	}
	hint, err := c.explain(err, certs)
	c.fail(check, err, hint)
}

// verified reports whether an error has nothing to do with the certificate.
func verified(err error) bool { return !refused(err) && proto.CodeOf(err) != proto.Identity }

// refused reports whether an error is that of a certificate.
func refused(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, host := errors.AsType[x509.HostnameError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return host || authority || invalid
}

// explain says what the error of TLS means, and what can be done about it.
func (c *hubCheck) explain(err error, certs []*x509.Certificate) (hint string, meant error) {
	if refused(err) && len(certs) > 0 {
		return c.badCertificate(err, certs)
	}
	// Package http replaces the error where the answer is HTTP.
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return portalHint, errors.New("what answers there does not speak TLS")
	}
	if proto.CodeOf(err) == proto.Identity {
		return "if the hub was changed on purpose: mesh-hub leave, and join it again", err
	}
	return firewallHint, errors.New(reason(err))
}

// badCertificate says what is wrong with a certificate.
func (c *hubCheck) badCertificate(e error, certs []*x509.Certificate) (hint string, meant error) {
	cert := certs[0]
	if id, err := identity.OfCertificates(certs); err == nil {
		hint = "the URL of the hub lacks its key: " + c.url.Origin() + c.url.Path + "#" + id.String() + ", if mesh-hub serve prints it so"
		return hint, fmt.Errorf("a hub answers with its own certificate, of the key %s", id.Short())
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](e); ok && invalid.Reason == x509.Expired {
		return "is this machine's clock right?", fmt.Errorf("the certificate is good from %s to %s, and this clock says %s", day(cert.NotBefore), day(cert.NotAfter), day(time.Now()))
	}
	if _, ok := errors.AsType[x509.HostnameError](e); ok {
		return portalHint, fmt.Errorf("the certificate is for %s, by %s", quoted(subject(cert)), quoted(issuerOf(cert)))
	}
	return openedHint, fmt.Errorf("this machine does not trust the certificate, by %s", quoted(issuerOf(cert)))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// subject returns whom a certificate is for.
func subject(cert *x509.Certificate) string {
	if len(cert.DNSNames) > 0 {
		return cert.DNSNames[0]
	}
	if len(cert.IPAddresses) > 0 {
		return cert.IPAddresses[0].String()
	}
	return cert.Subject.CommonName
}

func issuerOf(cert *x509.Certificate) string {
	text := cert.Issuer.CommonName
	if len(cert.Issuer.Organization) > 0 {
		text = strings.TrimSpace(cert.Issuer.Organization[0] + " " + text)
	}
	return text
}

// issuer notes the names in a certificate.
func (c *hubCheck) issuer(certs []*x509.Certificate) {
	if len(certs) > 0 {
		c.name("issuer", issuerOf(certs[0]))
		c.name("name", subject(certs[0]))
	}
}

// whoseCertificate says in words whose certificate the hub has.
func whoseCertificate(certs []*x509.Certificate) string {
	if _, err := identity.OfCertificates(certs); err == nil {
		return "the hub's own certificate"
	}
	return "certificate by " + quoted(issuerOf(certs[0]))
}

func quoted(text string) string { return `"` + text + `"` }

// answered adds the lines about the answer of a hub, and reports whether it is one.
func (c *hubCheck) answered(resp *http.Response, took time.Duration, at time.Time) bool {
	switch resp.StatusCode {
	case http.StatusNoContent:
		c.add(OK, "http", "the hub answers in "+ms(took), "")
	case http.StatusServiceUnavailable:
		c.add(Warn, "http", "the hub is about to end, or not ready (HTTP status 503)", "")
		return true
	default:
		hint := urlHint
		if resp.StatusCode/100 == 3 || resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNetworkAuthenticationRequired {
			hint = portalHint
		}
		c.add(Fail, "http", fmt.Sprintf("no hub answers: HTTP status %d", resp.StatusCode), hint)
		return false
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.clock(at.Sub(date.Add(time.Second / 2))) // Date has whole seconds
	}
	return true
}

// clock adds the line about the time by which this machine's clock is ahead.
func (c *hubCheck) clock(ahead time.Duration) {
	const hint = "set the clock, or let it be set: timedatectl set-ntp true"
	text, state := "ahead of the hub's", OK
	off := ahead.Abs()
	if ahead < 0 {
		text = "behind the hub's"
	}
	switch {
	case off > clockFail:
		state = Fail
	case off > clockWarn:
		state = Warn
	case off < 2*time.Second:
		c.add(OK, "clock", "as the hub's", "")
		return
	}
	line := fmt.Sprintf("%s %s", off.Round(time.Second), text)
	if state == OK {
		c.add(OK, "clock", line, "")
		return
	}
	c.add(state, "clock", line, hint)
}
