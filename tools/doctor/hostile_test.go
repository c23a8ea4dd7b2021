package doctor

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"unicode"

	"mesh/proto/hub"
	"mesh/proto/nat"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// Nothing that a hub, a router or a stranger has sent reaches the terminal as it is, in the
// report or in its redacted form.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]0;x\a\n\u202eok  here\x9b"
	cert := &x509.Certificate{Issuer: pkix.Name{CommonName: evil}, DNSNames: []string{evil}}
	for what, check := range map[string]func(*hubCheck){
		"relay":  func(c *hubCheck) { c.doors(t.Context(), []hub.Relay{{URL: "tcp://" + evil + ":443"}, {URL: evil}}) },
		"STUN":   func(c *hubCheck) { c.stun(t.Context(), []string{evil, evil + ":443"}) },
		"router": func(c *hubCheck) { c.mapped(nat.Forwards{Err: errors.New(evil)}) },
		"error":  func(c *hubCheck) { c.fail("login", errors.New(evil), "") },
		"certificate": func(c *hubCheck) {
			c.issuer([]*x509.Certificate{cert})
			c.add(OK, "tls", whoseCertificate([]*x509.Certificate{cert}), "")
		},
	} {
		key := xtest.NewKey(t)
		c := newHubCheck(Options{Key: key}, hub.URL{TLS: true, Host: "hub.example:443"})
		c.relay = relay.Client{Key: key}
		check(c)
		if len(c.lines) == 0 {
			t.Errorf("%s: no line", what)
		}
		r := Report{Lines: c.lines, names: c.names}
		for _, l := range append(r.Lines, r.Redact().Lines...) {
			if text := l.Hub + l.Text + l.Hint; strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.Contains(text, "\x9b") {
				t.Errorf("%s: got %q", what, text)
			}
		}
	}
}
