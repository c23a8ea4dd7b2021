package xtest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// Proxy starts an HTTP proxy that knows CONNECT only, and wants a name and a password
// unless they are empty.
func Proxy(t testing.TB, name, password string) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "want CONNECT", http.StatusMethodNotAllowed)
			return
		}
		r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
		if gotName, gotPassword, _ := r.BasicAuth(); gotName != name || gotPassword != password {
			w.Header().Set("Proxy-Authenticate", `Basic realm="test"`)
			http.Error(w, "who are you?", http.StatusProxyAuthRequired)
			return
		}
		Tunnel(w, r.Host)
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// Tunnel answers a CONNECT, and joins the client to an address until one of them ends.
func Tunnel(w http.ResponseWriter, addr string) {
	to, err := net.Dial("tcp", addr)
	if err != nil {
		http.Error(w, "no answer", http.StatusBadGateway)
		return
	}
	defer to.Close()
	w.WriteHeader(http.StatusOK)
	from, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	go func() {
		_, _ = io.Copy(to, rest)
		to.Close()
	}()
	_, _ = io.Copy(from, to)
}

// StrangeProxy starts what is no good proxy, and returns its address. It reads one request,
// answers with the text, and ends its direction of the connection, unless it stays. A close
// with data that is not read would be a reset, which may overtake the text.
func StrangeProxy(t testing.TB, text string, stays bool) string {
	t.Helper()
	return serveEach(t, func(c net.Conn) {
		defer c.Close()
		in := bufio.NewReader(c)
		_, _ = http.ReadRequest(in)
		_, _ = io.WriteString(c, text)
		if !stays {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		_, _ = io.Copy(io.Discard, in)
	})
}

// serveEach listens at a free port of loopback, calls serve for each connection, and
// returns the address.
func serveEach(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
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
			go serve(c)
		}
	}()
	return l.Addr().String()
}
