package hub

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub/broker"
	"mesh/proto/statefile"
)

// watched is a file that is read again when it changes.
type watched struct {
	path string
	size int64
	at   time.Time
	read bool
}

// changed reports whether the file is another one than at the last call.
func (w *watched) changed() bool {
	var size int64
	var at time.Time
	if info, err := os.Stat(w.path); err == nil {
		size, at = info.Size(), info.ModTime()
	}
	same := w.read && size == w.size && at.Equal(w.at)
	w.read, w.size, w.at = true, size, at
	return !same
}

// certificate is a certificate in files, which are read again when they change. One that
// can't be read leaves the old one in use.
type certificate struct {
	log *slog.Logger

	mu        sync.Mutex
	cert, key watched
	looked    time.Time
	now       *tls.Certificate
}

// openCertificate reads the certificate of --tls-cert and --tls-key.
func openCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: watched{path: cert}, key: watched{path: key}, log: log}
	return c, c.load()
}

func (c *certificate) load() error {
	c.cert.changed()
	c.key.changed()
	got, err := tls.LoadX509KeyPair(c.cert.path, c.key.path)
	if err != nil {
		return proto.Errorf(proto.Config, "--tls-cert and --tls-key: %w", err)
	}
	c.now = &got
	return nil
}

func (c *certificate) get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookEvery {
		c.looked = now
		if changedCert, changedKey := c.cert.changed(), c.key.changed(); changedCert || changedKey {
			if err := c.load(); err != nil {
				c.log.Error("the certificate is not read again", "err", err)
			}
		}
	}
	return c.now, nil
}

// writeExport writes facts to the file at path. Older exports become path.1, path.2 and
// so on; the oldest one goes. There is a whole one at path at any time.
func writeExport(path string, facts []broker.Fact) error {
	var text bytes.Buffer
	if err := broker.WriteExport(&text, facts); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case bytes.Equal(old, text.Bytes()):
		return nil
	default:
		for n := keepExports - 1; n > 1; n-- {
			if err := os.Rename(numbered(path, n-1), numbered(path, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := statefile.Write(numbered(path, 1), old, 0o600); err != nil {
			return err
		}
	}
	return statefile.Write(path, text.Bytes(), 0o600)
}

func numbered(path string, n int) string { return fmt.Sprintf("%s.%d", path, n) }

// reachable returns the address of a listener that other machines most likely reach: a
// public address of this machine before a private one, IPv4 before IPv6, loopback last.
func reachable(bound net.Addr) string {
	at, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return bound.String()
	}
	best, rank := at.Addr().Unmap(), 0
	if best.IsUnspecified() {
		all, _ := net.InterfaceAddrs() // none: the unspecified address stays
		for _, a := range all {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			if ip := p.Addr().Unmap(); rankOf(ip, at.Addr().Is4()) > rank {
				best, rank = ip, rankOf(ip, at.Addr().Is4())
			}
		}
	}
	return netip.AddrPortFrom(best.WithZone(""), at.Port()).String()
}

func rankOf(ip netip.Addr, only4 bool) int {
	switch {
	case only4 && !ip.Is4():
		return 0
	case ip.IsLoopback():
		return 1
	case !ip.IsGlobalUnicast():
		return 0
	}
	rank := 2
	if !ip.IsPrivate() {
		rank += 2
	}
	if ip.Is4() {
		rank++
	}
	return rank
}
