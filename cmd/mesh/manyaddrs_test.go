//go:build unix

package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// A token or a name with more addresses than a peer may have does not make a tool dial
// them: a stranger could have many hosts called so.
func TestTooManyAddresses(t *testing.T) {
	t.Parallel()
	key := attacker.NewKey()
	var dialled atomic.Int64
	tok := attacker.NewToken(key, 1, netip.AddrPort{})
	tok.Addrs = nil
	var texts []string
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				dialled.Add(1)
				c.Close()
			}
		}()
		tok.Addrs = append(tok.Addrs, netip.MustParseAddrPort(l.Addr().String()))
		texts = append(texts, l.Addr().String())
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
		t.Fatal(err)
	}
	line := "bob " + attacker.NodeID(tok.Listener()) + " " + strings.Join(texts, ",") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "home", "known_peers"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	add := []string{"peer", "add"}
	for _, a := range texts {
		add = append(add, "--addr", a)
	}
	for _, c := range []struct {
		name string
		args []string
		want proto.Code
	}{
		{"mesh-cat", []string{tok.Encode()}, proto.Usage},
		{"mesh-cat", []string{"bob"}, proto.Config},
		{"mesh-token", append(add, "carol", attacker.NodeID(tok.Listener())), proto.Usage},
		{"mesh-recv", append([]string{"--listen", "127.0.0.1:0"}, strings.Split("--addr "+strings.Join(texts, " --addr "), " ")...), proto.Usage},
	} {
		p := begin(t, dir, nil, c.name, c.args...)
		if got := p.code(t); got != c.want {
			t.Errorf("%s %.20v… ended with %v, want %v: %s", c.name, c.args, got, c.want, p.stderr.Bytes())
		}
	}
	if n := dialled.Load(); n != 0 {
		t.Errorf("%d addresses were dialled, want none", n)
	}
}
