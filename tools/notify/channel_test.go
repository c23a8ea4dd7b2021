package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/notify"
)

func message() notify.Message {
	code := proto.Unreachable
	return notify.Message{
		Event: notify.EventEnd, Kind: notify.Failed, Time: time.Now(), Host: "alpha", Title: "mesh: db failed on alpha",
		Text: "error: no answer\ncode 10 (unreachable)", Job: "db", Code: &code, Name: "unreachable",
	}
}

// Each channel gets each answer. No error names a secret or the URL.
func TestAnswers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	var written atomic.Int64
	for _, tt := range []struct {
		what   string
		answer http.HandlerFunc
		want   proto.Code
		pause  time.Duration
	}{
		{"200", status(200), proto.OK, 0},
		{"204", status(204), proto.OK, 0},
		{"401", status(401), proto.Denied, 0},
		{"403", status(403), proto.Denied, 0},
		{"404", status(404), proto.Declined, 0},
		{"429", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(429)
		}, proto.Busy, 2 * time.Minute},
		{"500", status(500), proto.Unreachable, 0},
		{"503", status(503), proto.Busy, 0},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, proto.Truncated, 0},
		{"no HTTP", func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				fmt.Fprint(conn, "220 "+canary+" SMTP\r\n")
				conn.Close()
			}
		}, proto.Protocol, 0},
		{"1 GiB", func(w http.ResponseWriter, _ *http.Request) {
			part := make([]byte, 64<<10)
			for range 1 << 30 / len(part) {
				n, err := w.Write(part)
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		}, proto.OK, 0},
		{"1 GiB of header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Much", strings.Repeat("x", 1<<20))
		}, proto.Protocol, 0},
		{"redirect to http", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, proto.Declined, 0},
		{"redirect with the body", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, proto.Declined, 0},
	} {
		s := httptest.NewUnstartedServer(tt.answer)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		for _, c := range channels(t, s.URL) {
			err := c.Send(t.Context(), message())
			xtest.WantCode(t, tt.what+" from "+c.Kind, err, tt.want)
			if got := notify.PauseOf(err); got != tt.pause {
				t.Errorf("%s from %s: got the pause %v, want %v", tt.what, c.Kind, got, tt.pause)
			}
			if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), s.URL)) {
				t.Errorf("%s from %s: got %q, which names a secret or a URL", tt.what, c.Kind, err)
			}
		}
		s.Close()
	}
	if got := elsewhere.Load(); got != 0 {
		t.Errorf("%d redirects were followed", got)
	}
	if got := written.Load(); got > 4*32<<20 { // what the kernel buffers
		t.Errorf("servers could write %d bytes", got)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, c := range channels(t, "http://"+l.Addr().String()) {
		err := c.Send(t.Context(), message())
		xtest.WantCode(t, c.Kind, err, proto.Unreachable)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %q", c.Kind, err)
		}
	}
}

// A server that hangs has until the end of the attempt, before or after its header.
func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, stop := newServer(hang)
		defer stop()
		for _, c := range channels(t, "http://localhost") {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			xtest.WantCode(t, c.Kind, c.Over(s.dial).Send(ctx, message()), proto.Timeout)
			cancel()
			if took := time.Since(begun); took != 5*time.Second {
				t.Errorf("%s: took %v, want 5s", c.Kind, took)
			}
		}
	})
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(status(200))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	other := "https://localhost:" + port // the certificate is of 127.0.0.1 and example.com
	for _, tt := range []struct {
		what, url, ca string
		want          proto.Code
	}{
		{"an unknown authority", s.URL, "", proto.Identity},
		{"a known one", s.URL, ca, proto.OK},
		{"a certificate of another host", other, ca, proto.Identity},
		{"no file", s.URL, ca + "x", proto.Config},
		{"no certificate", s.URL, secretFile(t, "x"), proto.Config},
	} {
		for _, c := range channels(t, tt.url) {
			c.CAFile = tt.ca
			xtest.WantCode(t, c.Kind+": "+tt.what, c.Send(t.Context(), message()), tt.want)
		}
	}
}

// What each channel sends.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := &server{}
	web := httptest.NewServer(s)
	defer web.Close()
	for _, c := range channels(t, web.URL) {
		if err := c.Send(t.Context(), message()); err != nil {
			t.Fatalf("%s: %v", c.Kind, err)
		}
	}
	got := s.got()
	if len(got) != 4 {
		t.Fatalf("got %d requests", len(got))
	}
	for i, path := range []string{"/message", "/sub/", "/" + canary + "/10", "/hook"} {
		if got[i].path != path {
			t.Errorf("got the path %q, want %q", got[i].path, path)
		}
		bearer := got[i].header.Get("Authorization") == "Bearer "+canary
		if want := i < 2; bearer != want {
			t.Errorf("%s: got the token %v, want %v", path, bearer, want)
		}
	}
	gotify, ntfy, hook := got[0].object(t), got[1].object(t), got[3].object(t)
	m := message()
	if gotify["title"] != m.Title || gotify["message"] != m.Text || gotify["priority"] != 8.0 || !strings.Contains(got[0].body, `"contentType":"text/plain"`) {
		t.Errorf("gotify got %s", got[0].body)
	}
	if ntfy["topic"] != "backups" || ntfy["title"] != m.Title || ntfy["message"] != m.Text || ntfy["priority"] != 5.0 {
		t.Errorf("ntfy got %s", got[1].body)
	}
	if hook["job"] != "db" || hook["event"] != "end" || hook["code"] != 10.0 || hook["title"] != m.Title {
		t.Errorf("the webhook got %s", got[3].body)
	}
	var at int64
	var mac string
	if _, err := fmt.Sscanf(got[3].header.Get(notify.SignatureHeader), "t=%d,v1=%s", &at, &mac); err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, []byte(canary))
	fmt.Fprintf(h, "%d.%s", at, got[3].body)
	if want := hex.EncodeToString(h.Sum(nil)); mac != want || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("got the signature %s of %d, want %s", mac, at, want)
	}
}

func TestPings(t *testing.T) {
	t.Parallel()
	s := &server{}
	web := httptest.NewServer(s)
	defer web.Close()
	ok, failed := proto.OK, proto.Truncated
	for _, tt := range []struct {
		url       string
		successes bool
		code      *proto.Code
		want      string
	}{
		{"/c", false, &ok, "/c/0"},
		{"/c/", false, &failed, "/c/12"},
		{"/k/{job}?create=1", false, &failed, "/k/db/12"},
		{"/c", true, &ok, "/c"},
		{"/c", true, &failed, ""},
	} {
		s.requests = nil
		c := notify.Channel{Kind: notify.Ping, URLFile: secretFile(t, web.URL+tt.url), Successes: tt.successes}
		m := message()
		m.Code = tt.code
		err := c.Send(t.Context(), m)
		var paths []string
		for _, r := range s.got() {
			paths = append(paths, r.path)
		}
		if got := strings.Join(paths, " "); got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.url, got, err, tt.want)
		}
	}
}

// A secret that others may read is refused, and none is repeated.
func TestSecrets(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(status(200))
	defer web.Close()
	spoil := map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"lines":   func(path string) error { return os.WriteFile(path, []byte(canary+"\n"+canary), 0o600) },
		"large":   func(path string) error { return os.WriteFile(path, []byte(strings.Repeat(canary, 1000)), 0o600) },
	}
	if runtime.GOOS != "windows" {
		for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o660} {
			spoil[mode.String()] = func(path string) error { return os.Chmod(path, mode) }
		}
	}
	for what, spoil := range spoil {
		for _, c := range channels(t, web.URL) {
			path := c.SecretFile + c.URLFile // it has one of them
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			err := c.Send(t.Context(), message())
			xtest.WantCode(t, c.Kind+": "+what, err, proto.Config)
			if err != nil && (strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%s: %s: got %q, want the name of the file and no secret", c.Kind, what, err)
			}
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url   string
		plain bool
		not   string // the kinds that refuse it
	}{
		{"https://push.example.org", false, "ntfy"},
		{"https://push.example.org/a/b", false, ""},
		{"http://127.0.0.1:8080/t", false, ""},
		{"http://[::1]/t", false, ""},
		{"http://localhost/t", false, ""},
		{"http://push.example.org/t", false, "gotify ntfy webhook ping"},
		{"http://LOCALHOST/t", false, "gotify ntfy webhook ping"},
		{"http://localhost.example.org/t", false, "gotify ntfy webhook ping"},
		{"http://127.0.0.1.example.org/t", false, "gotify ntfy webhook ping"},
		{"http://push.example.org/t", true, ""},
		{"https://user:" + canary + "@push.example.org/t", true, "gotify ntfy webhook ping"},
		{"https://push.example.org/t?token=1", false, "gotify ntfy"},
		{"https://push.example.org/t#x", false, "gotify ntfy webhook ping"},
		{"ftp://push.example.org/t", true, "gotify ntfy webhook ping"},
		{"push.example.org/t", true, "gotify ntfy webhook ping"},
		{"https:///t", true, "gotify ntfy webhook ping"},
		{"https://%zz" + canary, true, "gotify ntfy webhook ping"},
		{"", true, "gotify ntfy webhook ping"},
	} {
		for _, kind := range []string{notify.Gotify, notify.Ntfy, notify.Webhook, notify.Ping} {
			err := notify.Channel{Kind: kind, Insecure: tt.plain}.CheckURL(tt.url)
			if refused := strings.Contains(tt.not, kind); (err != nil) != refused {
				t.Errorf("%s for %s: got %v, want refused %v", tt.url, kind, err, refused)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("got %q, which repeats the URL", err)
			}
		}
	}
}

// The command gets JSON and variables. What a peer has a hand in is never a part of it.
func TestCommand(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	dir := t.TempDir()
	m := message()
	m.PeerName = "$(touch evil); `touch evil` \"' \nx"
	run := func(ctx context.Context, command string) error {
		return notify.Channel{Kind: notify.Command, Command: "cd '" + dir + "'; " + command}.Send(ctx, m)
	}
	if err := run(t.Context(), `cat >json; printf '%s|%s|%s|%s' "$MESH_TITLE" "$MESH_CODE" "$MESH_JOB" "$MESH_PEER_NAME" >env`); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "json"))
	var got notify.Message
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil || got.Title != m.Title || got.PeerName != m.PeerName {
		t.Errorf("got %s, %v", text, err)
	}
	text, err = os.ReadFile(filepath.Join(dir, "env"))
	if want := m.Title + "|10|db|" + m.PeerName; string(text) != want || err != nil {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
		t.Error("a command of the peer was run")
	}
	xtest.WantCode(t, "a command that does not read", run(t.Context(), "exit 0"), proto.OK)
	xtest.WantCode(t, "a command that fails", run(t.Context(), "exit 3"), proto.Consumer)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	xtest.WantCode(t, "a command that hangs", run(ctx, "sleep 60"), proto.Timeout)
}
