package identity

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/statefile"
)

// KeyFile is the name of the file in the state folder with the node key, as PKCS #8
// in PEM with mode 0600.
const KeyFile = "node.key"

const (
	keyPEMType  = "PRIVATE KEY"
	maxKeyBytes = 4 << 10
)

// ErrExposed is the reason to refuse a node key that other users may read.
var ErrExposed = errors.New("other users may read it")

// Key is a node key. It prints as its node id.
type Key struct {
	private ed25519.PrivateKey
}

// NewKey makes a node key and stores it nowhere.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Key{private}, nil
}

// LoadKey reads the node key in the folder dir. If there is none it creates the
// folder and a key. Errors have code [proto.Config], or that of a failing disk. A key
// that other users may read is [ErrExposed]; one that they may write or replace is
// refused too: see [statefile.Find].
func LoadKey(dir string) (*Key, error) { return LoadKeyFile(filepath.Join(dir, KeyFile)) }

// LoadKeyFile is [LoadKey] for a key at path. A hub has one beside its node key.
func LoadKeyFile(path string) (*Key, error) {
	k, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if k, err = createKey(path); err != nil {
		return nil, proto.Errorf(proto.CodeOf(statefile.Failed(err)), "make %s: %w", kindOf(path), err)
	}
	return k, nil
}

// kindOf returns what messages call the key at path: node key for node.key.
func kindOf(path string) string { return strings.TrimSuffix(filepath.Base(path), ".key") + " key" }

// KnownID returns the node id of the key in the folder dir. It makes no key: found is
// false if there is none.
func KnownID(dir string) (id ID, found bool, err error) {
	k, err := readKey(filepath.Join(dir, KeyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return id, false, nil
	case err != nil:
		return id, false, err
	}
	return k.ID(), true, nil
}

func readKey(path string) (*Key, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && privateModes && info.Mode().Perm()&0o077 != 0 {
		return nil, proto.Errorf(proto.Config, "%s %s: %w (mode %04o, want 0600)", kindOf(path), path, ErrExposed, info.Mode().Perm())
	}
	text, err := statefile.Read(path, maxKeyBytes)
	if err != nil {
		return nil, err
	}
	// The parsers' own errors could contain a part of the file.
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyPEMType {
		return nil, proto.Errorf(proto.Config, "%s %s: not a PEM private key", kindOf(path), path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, proto.Errorf(proto.Config, "%s %s: not an Ed25519 key in PKCS #8", kindOf(path), path)
	}
	return &Key{private}, nil
}

// createKey writes a new key to a temporary file and links it to path. If another
// process has created path meanwhile, createKey returns the key of that process.
func createKey(path string) (*Key, error) {
	k, err := NewKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := statefile.MakeFolder(dir); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(pem.Encode(tmp, &pem.Block{Type: keyPEMType, Bytes: der}), statefile.SyncData(tmp), tmp.Close()); err != nil {
		return nil, err
	}
	err = os.Link(tmp.Name(), path)
	if proto.IsLacking(err) {
		err = statefile.RenameNew(tmp.Name(), path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := statefile.SyncFolder(dir); err != nil {
		return nil, err
	}
	return readKey(path)
}

// ID returns the node id.
func (k *Key) ID() ID {
	var id ID
	copy(id[:], k.private.Public().(ed25519.PublicKey))
	return id
}

// Sign returns the Ed25519 signature of msg. It is deterministic (RFC 8032, section
// 5.1.6).
func (k *Key) Sign(msg []byte) []byte { return ed25519.Sign(k.private, msg) }

// Derive returns a secret of 32 bytes that belongs to the key and to a label: HKDF-SHA-256
// of the seed, without a salt (RFC 5869).
func (k *Key) Derive(label string) []byte {
	secret, err := hkdf.Key(sha256.New, k.private.Seed(), nil, label, sha256.Size)
	if err != nil {
		panic(err) // the length is fixed
	}
	return secret
}

// String returns the short node id, so that no key is printed by accident.
func (k *Key) String() string { return "key of " + k.ID().Short() }

// GoString returns what [Key.String] does.
func (k *Key) GoString() string { return k.String() }

// LogValue implements [slog.LogValuer] as String does.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Certificate returns a self-signed certificate for the key. It states nothing but
// the key: peers check the key and ignore names and dates.
func (k *Key) Certificate() (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, section 4.1.2.5: no end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.private.Public(), k.private)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k.private}, nil
}

// OfCertificates returns the node id of a TLS peer from its certificates. There must
// be exactly one, of an Ed25519 key and signed by that key. TLS has verified that the
// peer has the private key.
func OfCertificates(certs []*x509.Certificate) (ID, error) {
	if len(certs) != 1 {
		return ID{}, proto.Errorf(proto.Identity, "the peer presents %d certificates, want 1", len(certs))
	}
	pub, ok := certs[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return ID{}, proto.Errorf(proto.Identity, "the peer's key is not Ed25519")
	}
	if err := certs[0].CheckSignature(certs[0].SignatureAlgorithm, certs[0].RawTBSCertificate, certs[0].Signature); err != nil {
		return ID{}, proto.Errorf(proto.Identity, "the peer's certificate is not signed by its own key")
	}
	return ID(pub), nil
}
