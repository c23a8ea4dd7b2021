package hub

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub/broker"
	"mesh/proto/xtest"
)

// The newest export is at its path, older ones are numbered, and seven are kept. What has
// not changed is not written again.
func TestWriteExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, exportFile)
	for i := range 10 {
		for range 2 {
			if err := writeExport(path, []broker.Fact{{Key: "ban/x", Value: fmt.Appendf(nil, `{"n":%d}`, i)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range keepExports {
		name := path
		if n > 0 {
			name = numbered(path, n)
		}
		want := fmt.Sprintf("{\"key\":\"ban/x\",\"value\":{\"n\":%d}}\n{\"facts\":1}\n", 9-n)
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, want)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != keepExports {
		t.Errorf("got %d files (%v), want %d", len(all), err, keepExports)
	}
}

// writeCertificate writes a certificate with a serial number and its key.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, time.Unix(serial, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// A certificate is read again when its files change. One that can't be read leaves the
// old one in use.
func TestCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	c := &certificate{cert: watched{path: cert}, key: watched{path: key}, log: slog.New(slog.DiscardHandler)}
	xtest.WantCode(t, "no files", c.load(), proto.Config)
	writeCertificate(t, cert, key, 1)
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		c.looked = time.Time{} // as after a second
		got, err := c.get()
		if err != nil {
			t.Fatal(err)
		}
		return leaf(t, got).SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("got certificate %d, want 1", got)
	}
	writeCertificate(t, cert, key, 2)
	if got := serial(); got != 2 {
		t.Errorf("after a change: got certificate %d, want 2", got)
	}
	if err := os.WriteFile(cert, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("after a mistake: got certificate %d, want 2", got)
	}
	writeCertificate(t, cert, key, 3)
	if got := serial(); got != 3 {
		t.Errorf("after it was mended: got certificate %d, want 3", got)
	}
}

func leaf(t *testing.T, c *tls.Certificate) *x509.Certificate {
	t.Helper()
	got, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWithPort(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":8443": ":8443", "hub.example": "hub.example:443", "127.0.0.1": "127.0.0.1:443", "::1": "[::1]:443", "[::1]": "[::1]:443",
		"[::1]:8443": "[::1]:8443", "127.0.0.1:0": "127.0.0.1:0",
	} {
		if got := withPort(addr); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}

// The address that others most likely reach ranks highest.
func TestRank(t *testing.T) {
	t.Parallel()
	order := []string{"fe80::1", "127.0.0.1", "fd00::1", "192.168.1.2", "2001:db8::1", "203.0.113.9"}
	last := -1
	for _, text := range order {
		rank := rankOf(netip.MustParseAddr(text), false)
		if rank <= last {
			t.Errorf("%s: got rank %d, want more than %d", text, rank, last)
		}
		last = rank
	}
	if got := rankOf(netip.MustParseAddr("2001:db8::1"), true); got != 0 {
		t.Errorf("IPv6 for a listener of IPv4: got rank %d", got)
	}
}
