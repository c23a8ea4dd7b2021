//go:build linux

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mesh/proto"
)

// writeCertificate writes a certificate for localhost and 127.0.0.1 that signs itself, and
// its key.
func writeCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A hub with a certificate that every system trusts takes guests with --guests: the code ends
// in its host, and needs no setting on the other side. Such a hub is not kept there, and
// without --guests a code has no host and is worth nothing to others.
func TestHubGuest(t *testing.T) {
	t.Parallel()
	cert, key := writeCertificate(t, t.TempDir())
	trusting := func(c *exec.Cmd) { c.Env = append(c.Env, "SSL_CERT_FILE="+cert) }
	for _, guests := range []bool{true, false} {
		dir, err := os.MkdirTemp("", "hub")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		args := []string{"--tls-cert", cert, "--tls-key", key}
		if guests {
			args = append(args, "--guests")
		}
		h := beginHub(t, dir, nil, args...)
		host := "localhost:" + regexp.MustCompile(`:(\d+)#`).FindStringSubmatch(h.line)[1]
		bob, alice := t.TempDir(), t.TempDir()
		h.admin(t, proto.OK, "member", "add", nodeID(t, bob))
		if p := begin(t, bob, trusting, "mesh-hub", "join", "wss://"+host); p.code(t) != proto.OK {
			t.Fatalf("join: %s", p.stderr.Bytes())
		}
		events := filepath.Join(bob, "ev")
		var got bytes.Buffer
		recv := begin(t, bob, func(c *exec.Cmd) { trusting(c); c.Stdout = &got }, "mesh-recv", "--listen", "127.0.0.1:0", "--events", events)
		shown := regexp.MustCompile(`"short_code":"([^"]+)"`)
		poll(t, "a code", func() bool {
			text, _ := os.ReadFile(events)
			return shown.Match(text)
		})
		text, err := os.ReadFile(events)
		if err != nil {
			t.Fatal(err)
		}
		code := string(shown.FindSubmatch(text)[1])
		if strings.HasSuffix(code, "@"+host) != guests {
			t.Errorf("guests %v: got a code with the end %q, want @%s for guests alone", guests, code[strings.LastIndex(code, "-"):], host)
		}
		code, _, _ = strings.Cut(code, "@")
		cat := begin(t, alice, func(c *exec.Cmd) { trusting(c); c.Stdin = strings.NewReader("from a guest") }, "mesh-cat", code+"@"+host)
		want := map[bool]proto.Code{true: proto.OK, false: proto.Denied}[guests]
		if end := cat.code(t); end != want {
			t.Errorf("guests %v: mesh-cat ended with %v, want %v: %s", guests, end, want, cat.stderr.Bytes())
		}
		if _, err := os.Stat(filepath.Join(alice, "home", "known_hubs")); err == nil {
			t.Error("the guest has kept the hub")
		}
		if !guests {
			_ = recv.Process.Signal(os.Interrupt)
		}
		if end := recv.code(t); guests && (end != proto.OK || got.String() != "from a guest") {
			t.Errorf("mesh-recv ended with %v and %q: %s", end, got.String(), recv.stderr.Bytes())
		}
		h.stop(t)
	}
}
