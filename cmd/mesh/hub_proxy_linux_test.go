package main

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mesh/proto"
)

// endTLS ends TLS with a certificate before a hub, and passes all bytes on, over TLS or
// plain. It returns its port.
func endTLS(t *testing.T, cert, key string, dial func() (net.Conn, error)) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { between(c, dial) })
		}
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// between copies between a connection and another one, until one of them ends.
func between(c net.Conn, dial func() (net.Conn, error)) {
	defer c.Close()
	to, err := dial()
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, c)
		_ = to.Close()
	}()
	_, _ = io.Copy(c, to)
}

// Whoever ends TLS in front of a pinned hub, with a certificate that the system trusts, is
// found out with 21, unless the URL says that a proxy stands there: then the hub must say so
// too. Without a pin, nobody knows better at first; once the key is kept, it is pinned.
func TestHubBehindStranger(t *testing.T) {
	t.Parallel()
	cert, key := writeCertificate(t, t.TempDir())
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hubAddr := free.Addr().String()
	_ = free.Close()
	// The stranger speaks TLS to the hub, as a node does, and believes anybody; the proxy does not.
	stranger := endTLS(t, cert, key, func() (net.Conn, error) {
		return tls.Dial("tcp", hubAddr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	})
	proxy := endTLS(t, cert, key, func() (net.Conn, error) { return net.Dial("tcp", hubAddr) })

	h := beginHub(t, dir, nil, "--listen", hubAddr)
	id := strings.TrimSpace(h.line[strings.Index(h.line, "#"):])
	node := t.TempDir()
	h.admin(t, proto.OK, "member", "add", nodeID(t, node))
	trusting := func(c *exec.Cmd) { c.Env = append(c.Env, "SSL_CERT_FILE="+cert) }
	try := func(what, url string, want proto.Code) {
		t.Helper()
		for _, args := range [][]string{{"mesh-hub", "join", url}, {"mesh-cat", "--hub", url, "--trust", "hub", "nobody"}} {
			if want == proto.OK && args[0] == "mesh-cat" {
				want = proto.Unreachable // the hub knows no such peer
			}
			p := begin(t, node, trusting, args[0], args[1:]...)
			if code := p.code(t); code != want {
				t.Errorf("%s: %s ended with %v, want %v: %s", what, args[0], code, want, p.stderr.Bytes())
			}
			if want == proto.Identity && !strings.Contains(p.stderr.String(), "does not prove its key") {
				t.Errorf("%s: %s says %s", what, args[0], p.stderr.Bytes())
			}
			if want != proto.OK && want != proto.Unreachable {
				if known, err := os.ReadFile(filepath.Join(node, "home", "known_hubs")); err == nil && strings.Contains(string(known), url) {
					t.Errorf("%s: the hub is kept", what)
				}
			}
		}
	}
	try("the hub itself", "wss://"+hubAddr+id, proto.OK)
	try("a stranger before a pinned hub", "wss://localhost:"+stranger+id, proto.Identity)
	try("a stranger before a hub that is behind a proxy by its URL", "wss://localhost:"+stranger+id+",proxy", proto.Identity)
	h.stop(t)

	h = beginHub(t, dir, nil, "--listen", hubAddr, "--behind-proxy", "127.0.0.1", "--url", "wss://localhost:"+proxy)
	try("a proxy that the URL does not name", "wss://localhost:"+proxy+id, proto.Identity)
	try("a proxy that the URL names", "wss://localhost:"+proxy+id+",proxy", proto.OK)
	h.stop(t)
}
