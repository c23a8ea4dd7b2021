package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// A node key is a file that other tools can read and write.
func TestKeyIsPKCS8(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := identity.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, identity.KeyFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		t.Fatalf("got %d bytes behind %v, want one PEM block of a private key", len(rest), block != nil)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if id := key.ID(); !ok || !bytes.Equal(private.Public().(ed25519.PublicKey), id[:]) {
		t.Errorf("got another key in the file than %s", id)
	}
	if msg := []byte("x"); !bytes.Equal(key.Sign(msg), ed25519.Sign(private, msg)) {
		t.Error("the key signs otherwise than its file's")
	}
}

func TestOpenSSL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl here")
	}
	openssl := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "openssl", args...).Output()
		if err != nil {
			t.Fatalf("openssl %v: %v", args, err)
		}
		return string(out)
	}
	// public reads the key's public half from the output of openssl.
	public := func(path string) string {
		t.Helper()
		_, after, _ := strings.Cut(openssl("pkey", "-in", path, "-noout", "-text_pub"), "pub:")
		return regexp.MustCompile(`[^0-9a-f]`).ReplaceAllString(after, "")
	}
	ours, theirs := t.TempDir(), t.TempDir()
	path := filepath.Join(theirs, identity.KeyFile)
	openssl("genpkey", "-algorithm", "ed25519", "-out", path)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{ours, theirs} {
		key, err := identity.LoadKey(dir)
		if err != nil {
			t.Fatal(err)
		}
		id := key.ID()
		if got, want := public(filepath.Join(dir, identity.KeyFile)), hex.EncodeToString(id[:]); got != want {
			t.Errorf("openssl reads the key %s, want %s", got, want)
		}
	}
	// A key of another kind is refused.
	openssl("genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := identity.LoadKey(theirs)
	xtest.WantCode(t, "an ECDSA key", err, proto.Config)
}
