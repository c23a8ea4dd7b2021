package notify_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mesh/tools/notify"
)

// canary is in each secret, and nowhere else.
const canary = "CANARY1234567890"

// request is what a server has got.
type request struct {
	at     time.Time
	path   string
	header http.Header
	body   string
}

// object returns the body as an object.
func (r request) object(t *testing.T) (o map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &o); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	return o
}

// server is an HTTP server without a network, for virtual time.
type server struct {
	conns  chan net.Conn // sent by dial, received by Accept
	closed chan struct{} // closed by Close
	once   sync.Once

	mu       sync.Mutex
	requests []request
	answer   http.HandlerFunc
}

// newServer starts a server. A nil answer is 200. It ends with stop.
func newServer(answer http.HandlerFunc) (s *server, stop func()) {
	s = &server{conns: make(chan net.Conn), closed: make(chan struct{}), answer: answer}
	srv := &http.Server{Handler: s}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(s) })
	return s, func() {
		_ = srv.Close()
		wg.Wait()
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, request{time.Now(), r.URL.Path, r.Header, string(body)})
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

func (s *server) set(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements [net.Listener].
func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (s *server) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

// Addr implements [net.Listener].
func (s *server) Addr() net.Addr { return &net.TCPAddr{} }

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// secretFile writes a secret, and returns its path.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// channels returns a channel of each kind that a server answers, at a URL.
func channels(t *testing.T, url string) []notify.Channel {
	t.Helper()
	return []notify.Channel{
		{Kind: notify.Gotify, URL: url, SecretFile: secretFile(t, canary)},
		{Kind: notify.Ntfy, URL: url + "/sub/backups", SecretFile: secretFile(t, canary)},
		{Kind: notify.Ping, URLFile: secretFile(t, url+"/"+canary)},
		{Kind: notify.Webhook, URL: url + "/hook", SecretFile: secretFile(t, canary)},
	}
}
