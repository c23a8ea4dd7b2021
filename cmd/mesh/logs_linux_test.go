package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/proto"
)

// loggedInbox is an inbox whose log a test reads.
type loggedInbox struct {
	dir, log string // log is the file behind its standard error
	in       *aTool
}

// beginLoggedInbox starts an inbox with these variables, where %d:%d of JOURNAL_STREAM
// stands for its standard error, and waits until peers can come.
func beginLoggedInbox(t *testing.T, args []string, env ...string) *loggedInbox {
	t.Helper()
	l := &loggedInbox{dir: t.TempDir()}
	l.log = filepath.Join(l.dir, "log")
	for _, dir := range []string{"home", "in"} {
		if err := os.Mkdir(filepath.Join(l.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(l.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	l.in = begin(t, l.dir, func(c *exec.Cmd) {
		c.Stderr, c.Env = f, append(c.Env, "JOURNAL_STREAM=")
		for _, v := range env {
			if strings.Contains(v, "%d") {
				v = fmt.Sprintf(v, stat.Dev, stat.Ino)
			}
			c.Env = append(c.Env, v)
		}
	}, "mesh-listen", append([]string{"--listen", "127.0.0.1:0", "--token-file", "tok", "--inbox", "in", "--max-size", "9"}, args...)...)
	await(t, filepath.Join(l.dir, "tok"))
	return l
}

// use makes one good delivery and one that is too large, and ends the inbox.
func (l *loggedInbox) use(t *testing.T) {
	t.Helper()
	for name, want := range map[string]proto.Code{"small": proto.OK, "large\n\x1b[2J": proto.Space} {
		path := filepath.Join(l.dir, name)
		if err := os.WriteFile(path, []byte("123456789x")[:9+len(name)/6], 0o600); err != nil {
			t.Fatal(err)
		}
		cat := begin(t, l.dir, func(c *exec.Cmd) { c.Env = append(c.Env, "MESH_HOME="+filepath.Join(l.dir, "alice")) }, "mesh-cat", "@tok", path)
		if code := cat.code(t); code != want {
			t.Fatalf("%q: ended with %v, want %v: %s", name, code, want, cat.stderr.Bytes())
		}
	}
	if err := l.in.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := l.in.code(t); code != proto.Terminated {
		t.Fatalf("ended with %v: %s", code, l.text(t))
	}
}

func (l *loggedInbox) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(l.log)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := os.ReadFile(filepath.Join(l.dir, "tok")); err != nil || shows(string(b), strings.TrimSpace(string(token))) {
		t.Errorf("got a log with the token (%v): %s", err, b)
	}
	if bytes.ContainsAny(b, "\x1b") {
		t.Errorf("got a log with an escape character: %q", b)
	}
	return string(b)
}

// TestLogForms wants an inbox to log one record for each event in each form.
func TestLogForms(t *testing.T) {
	t.Parallel()
	text := []string{
		`^time=\S+ level=INFO msg="waiting for peers" event=listening addr=127\.0\.0\.1:\d+ token_id=`,
		`level=INFO msg="peer linked" event=peer peer_id=`,
		`level=INFO msg=stored event=stored peer_id=.* bytes=9 .*file=\S+/in/small`,
		`level=INFO msg="delivery ended" event=delivery .* code=0 name=ok`,
		`^mesh-listen: error: delivery from mk1\S+ at 127\.0\.0\.1:\d+: the peer sends more than the 9 bytes that are allowed$`,
		`level=INFO msg=ended event=end code=143`,
	}
	objects := []string{
		`"level":"INFO","msg":"waiting for peers","event":"listening","addr":"127\.0\.0\.1:\d+","token_id":"`,
		`"level":"INFO","msg":"stored","event":"stored","peer_id":".*"bytes":9.*"file":"\S+/in/small"`,
		`"level":"ERROR","msg":"delivery from mk1.* the peer sends more than the 9 bytes that are allowed","code":41,"name":"space","event":"delivery","peer_id":".*"folder":"\S+/in"`,
		`"level":"INFO","msg":"ended","event":"end","code":143`,
	}
	for what, tt := range map[string]struct {
		args, env, want []string
		json            bool
		not             string
	}{
		"no settings":           {nil, nil, text, false, `socket open`},
		"text":                  {nil, []string{"MESH_LOG=text"}, text, false, "socket open"},
		"quiet":                 {[]string{"-q"}, nil, text[4:5], false, "level="},
		"verbose":               {[]string{"-v"}, nil, append(text, `level=INFO msg="socket open"`), false, "received 1 file"},
		"json":                  {nil, []string{"MESH_LOG=json"}, objects, true, "socket open"},
		"json, verbose":         {[]string{"-v"}, []string{"MESH_LOG=json"}, append(objects, `"msg":"socket open"`), true, "received 1 file"},
		"json in the journal":   {nil, []string{"MESH_LOG=json", "JOURNAL_STREAM=%d:%d"}, objects, true, "socket open"},
		"another file":          {nil, []string{"JOURNAL_STREAM=%d:1%d"}, text, false, "socket open"},
		"no file":               {nil, []string{"JOURNAL_STREAM=8:x"}, text, false, "socket open"},
		"a journal that's gone": {nil, []string{"JOURNAL_STREAM=%d:%d", journalVariable + "=/missing"}, append(text[:4:4], "level=ERROR msg=\"delivery from mk1.* event=delivery"), false, "socket open"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := beginLoggedInbox(t, tt.args, tt.env...)
			l.use(t)
			got := l.text(t)
			for _, want := range tt.want {
				if !regexp.MustCompile("(?m)" + want).MatchString(got) {
					t.Errorf("got no line like %s: %s", want, got)
				}
			}
			if strings.Contains(got, tt.not) {
				t.Errorf("got a line with %q: %s", tt.not, got)
			}
			for line := range strings.Lines(got) {
				if tt.json && !json.Valid([]byte(line)) {
					t.Errorf("got %q, want an object", line)
				}
			}
		})
	}
}

// TestLogErrors wants the last error of a daemon to be a record too, and a wrong form to be
// a mistake in the settings.
func TestLogErrors(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	at := busy.Addr().String()
	for _, tt := range []struct {
		line, form string
		code       proto.Code
		want       string
	}{
		{"mesh-listen --inbox . --listen 127.0.0.1:0 --metrics " + at, "json", proto.IO, `\n\{"time":"[^"]+","level":"ERROR","msg":"listen tcp [^"]*","code":40,"name":"io","hint":"another process has that port: [^"]*"\}\n$`},
		{"mesh-hub serve --listen " + at, "json", proto.IO, `^\{"time":"[^"]+","level":"ERROR","msg":"listen tcp [^"]*","code":40,`},
		{"mesh-tty --share --headless --listen 127.0.0.1:0 --token-file . -- true", "json", proto.Unsafe, `"level":"ERROR","msg":"[^"]+","code":42,`},
		{"mesh-listen --inbox . --listen 127.0.0.1:0", "xml", proto.Config, `^mesh-listen: error: environment: MESH_LOG: want text or json\n`},
		{"mesh-listen --listen 127.0.0.1:0 --deadline 50ms", "xml", proto.Timeout, `mesh-listen: error: `}, // no daemon
	} {
		p := begin(t, t.TempDir(), func(c *exec.Cmd) { c.Env = append(c.Env, "MESH_LOG="+tt.form) }, strings.Fields(tt.line)[0], strings.Fields(tt.line)[1:]...)
		if code := p.code(t); code != tt.code || !regexp.MustCompile(tt.want).Match(p.stderr.Bytes()) {
			t.Errorf("%s, log %s: ended with %v and %q, want %v and %s", tt.line, tt.form, code, p.stderr.Bytes(), tt.code, tt.want)
		}
	}
}

// TestLogJournal wants an inbox whose standard error is the journal's to send entries, and
// no lines.
func TestLogJournal(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "j") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	journal, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	entries := make(chan string, 100) // closed when the socket is
	go func() {
		defer close(entries)
		b := make([]byte, 1<<20)
		for {
			n, err := journal.Read(b)
			if err != nil {
				return
			}
			entries <- "\n" + string(b[:n])
		}
	}()
	l := beginLoggedInbox(t, nil, "JOURNAL_STREAM=%d:%d", journalVariable+"="+socket)
	l.use(t)
	var got []string
	for range 7 {
		got = append(got, <-entries)
	}
	_ = journal.Close()
	for e := range entries {
		got = append(got, e)
	}
	all := strings.Join(got, "")
	if lines := l.text(t); lines != "" {
		t.Errorf("got lines beside the entries: %s", lines)
	}
	for what, want := range map[string][]string{
		"the error": {"PRIORITY=3", "MESH_EVENT=delivery", "MESH_CODE=41", "MESH_PEER_ID=mk1", "MESH_TRANSFER=", "MESH_FOLDER=/", "MESSAGE=delivery from mk1", "SYSLOG_IDENTIFIER=mesh-listen"},
		"a file":    {"PRIORITY=6", "MESH_EVENT=stored", "MESH_BYTES=9", "MESH_FILE=/", "MESSAGE=stored peer_id=mk1"},
		"the end":   {"PRIORITY=6", "MESH_EVENT=end", "MESH_CODE=143"},
	} {
		found := false
		for _, e := range got {
			has := 0
			for _, field := range want {
				if strings.Contains(e, "\n"+field) {
					has++
				}
			}
			found = found || has == len(want)
		}
		if !found {
			t.Errorf("got no entry for %s with %q: %q", what, want, got)
		}
	}
	token, err := os.ReadFile(filepath.Join(l.dir, "tok"))
	if err != nil || shows(all, strings.TrimSpace(string(token))) || strings.Contains(all, "\x1b") {
		t.Errorf("got entries with the token or an escape character (%v): %q", err, all)
	}
}
