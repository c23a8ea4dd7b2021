package xtest

import (
	"io"
	"net"
	"net/url"
	"testing"
)

// SOCKS starts a SOCKS5 proxy (RFC 1928, RFC 1929) that wants a name and a password. It
// connects to everything at the address to, or refuses (reply 2) if that is "".
func SOCKS(t testing.TB, name, password, to string) *url.URL {
	t.Helper()
	addr := serveEach(t, func(c net.Conn) { serveSOCKS(c, name, password, to) })
	return &url.URL{Scheme: "socks5", Host: addr}
}

func serveSOCKS(c net.Conn, name, password, to string) {
	defer c.Close()
	field := func() []byte { // as long as its first byte says
		var n [1]byte
		_, _ = io.ReadFull(c, n[:])
		b := make([]byte, n[0])
		_, _ = io.ReadFull(c, b)
		return b
	}
	var b [4]byte
	_, _ = io.ReadFull(c, b[:1])
	wants := false
	for _, method := range field() {
		wants = wants || method == 2
	}
	if !wants {
		_, _ = c.Write([]byte{5, 0xff})
		return
	}
	_, _ = c.Write([]byte{5, 2})
	_, _ = io.ReadFull(c, b[:1])
	if gotName, gotPassword := string(field()), string(field()); gotName != name || gotPassword != password {
		_, _ = c.Write([]byte{1, 1})
		return
	}
	_, _ = c.Write([]byte{1, 0})
	_, _ = io.ReadFull(c, b[:])
	rest := net.IPv4len
	if b[3] == 3 {
		_, rest = field(), 0
	}
	_, _ = io.ReadFull(c, make([]byte, rest+2))
	if to == "" {
		_, _ = c.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() {
		_, _ = io.Copy(far, c)
		far.Close()
	}()
	_, _ = io.Copy(c, far)
}
