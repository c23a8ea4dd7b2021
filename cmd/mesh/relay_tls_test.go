//go:build unix

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// A relay with a certificate needs no key of its own: a hub that trusts the certificate names
// it, one that does not does not. The relay presents a certificate that has replaced the
// first one.
func TestRelayCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	r := beginRelay(t, dir, "--hub", "wss://hub.example#"+nodeID(t, t.TempDir()), "--tls-cert", cert, "--tls-key", key)
	at := strings.TrimSpace(strings.TrimPrefix(r.line, "mesh-hub serve --relay "))
	if strings.Contains(at, "#") {
		t.Errorf("got %s, want a URL without a key", at)
	}
	if _, err := os.Stat(filepath.Join(dir, "home", "relay.key")); err == nil {
		t.Error("the relay has made a key")
	}
	for trusted, want := range map[string]string{cert: "relay answers", "": "relay does not answer"} {
		said := filepath.Join(t.TempDir(), "err")
		h := beginHub(t, t.TempDir(), func(c *exec.Cmd) {
			c.Env = append(c.Env, "SSL_CERT_FILE="+trusted)
			file, err := os.Create(said)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			c.Stderr = file
		}, "-v", "--relay", at)
		poll(t, want, func() bool {
			text, _ := os.ReadFile(said)
			return bytes.Contains(text, []byte(want))
		})
		h.stop(t)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for what, pool := range map[string]*x509.CertPool{"trusted": roots, "another authority": x509.NewCertPool()} {
		c := &relay.Client{Key: xtest.NewKey(t), TLS: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}}
		if _, err := c.Probe(t.Context(), relay.Entry{URL: at + relay.PathWebSocket}); (err == nil) != (pool == roots) {
			t.Errorf("a node, %s: got %v", what, err)
		}
	}
	old := presented(t, at)
	writeCertificate(t, dir)
	poll(t, "another certificate", func() bool { return !bytes.Equal(presented(t, at), old) })
	r.stop(t)
}

// presented returns the certificate that a relay presents.
func presented(t *testing.T, at string) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(at, "wss://"), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Raw
}

func TestRelayCertificateRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	for _, tt := range []struct {
		args []string
		want proto.Code
		text string
	}{
		{[]string{"--tls-cert", cert}, proto.Usage, "--tls-cert and --tls-key go together"},
		{[]string{"--tls-key", key}, proto.Usage, "--tls-cert and --tls-key go together"},
		{[]string{"--tls-cert", "missing", "--tls-key", key}, proto.Config, "--tls-cert and --tls-key: open missing"},
		{[]string{"--tls-cert", key, "--tls-key", cert}, proto.Config, "--tls-cert and --tls-key: "},
		{[]string{"--tls-cert", cert, "--tls-key", key, "--url", "wss://relay.example"}, proto.Config, "not relay.example\nmesh-hub: hint: --url wss://HOST[:PORT]"},
	} {
		args := append([]string{"relay", "--listen", "127.0.0.1:0", "--hub", "wss://hub.example#" + nodeID(t, dir)}, tt.args...)
		p := begin(t, dir, nil, "mesh-hub", args...)
		if code := p.code(t); code != tt.want || !strings.Contains(p.stderr.String(), tt.text) {
			t.Errorf("%v: got code %v and %s, want %v and %q", tt.args, code, p.stderr.Bytes(), tt.want, tt.text)
		}
	}
}
