package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/tools/config"
)

var keys = map[string]config.Kind{
	"listen.max": config.Number, "listen.addr": config.List, "listen.verbose": config.Count,
	"inbox.dir": config.Text, "inbox.force": config.Bool, "inbox.max-size": config.Size,
	"peers.*.via": config.Text,
}

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := config.Parse("c", []byte(`# settings
[listen]
max = 1_000
addr = [
  "a:1",
  "b:2",
]
verbose = true

[inbox]
dir = "/srv/in"
force = false
max-size = 5
[peers."al.ice"]
via = 'tcp'
[peers]
bob.via = "quic"
carol = { via = "auto" }
`), keys)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"listen.max": "c:3 1000", "listen.addr": "c:4 a:1 b:2", "listen.verbose": "c:8 true",
		"inbox.dir": "c:11 /srv/in", "inbox.force": "c:12 false", "inbox.max-size": "c:13 5",
		"peers.al.ice.via": "c:15 tcp", "peers.bob.via": "c:17 quic", "peers.carol.via": "c:18 auto",
	} {
		v, ok := f.Lookup(key)
		if got := strings.Join(append([]string{v.At}, v.Words...), " "); !ok || got != want || v.Key != key {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	var tables []string
	for _, p := range f.Tables("peers") {
		tables = append(tables, p.At+" "+p.Words[0])
	}
	if want := []string{"c:14 al.ice", "c:17 bob", "c:18 carol"}; !slices.Equal(tables, want) {
		t.Errorf("got %q, want %q", tables, want)
	}
	if _, ok := f.Lookup("listen.token"); ok {
		t.Error("a key that is not set is there")
	}
}

// Every error has the line, and the key if there is one.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"[listen]\n\nmaxx = 1\n", "c:3: listen.maxx: unknown key"},
		{"max = 1", "c:1: max: unknown key"},
		{"\n[lisen]\n", "c:2: unknown table [lisen]"},
		{"[peers.a.b]\n", "c:1: unknown table [peers.a.b]"},
		{"[peers.a]\nfoo = 1\n", "c:2: peers.a.foo: unknown key"},
		{"peers = 1", "c:1: peers: unknown key"},
		{"[listen]\nmax = 'x'", "c:2: listen.max: want a number"},
		{"[listen]\nmax = 1.5", "c:2: listen.max: want a number"},
		{"[inbox]\ndir = 1", "c:2: inbox.dir: want a text"},
		{"[inbox]\nforce = 'yes'", "c:2: inbox.force: want true or false"},
		{"[inbox]\nmax-size = true", "c:2: inbox.max-size: want a number or a text"},
		{"[listen]\naddr = 'a:1'", "c:2: listen.addr: want a list of texts"},
		{"[listen]\naddr = [1]", "c:2: listen.addr: want a list of texts"},
		{"[listen]\nverbose = 'a'", "c:2: listen.verbose: want a number, true or false"},
		{"[[inbox]]\ndir = 'a'", "c:2: inbox.dir: want a text"},
		{"inbox = { dir = 'a', foo = 2 }", "c:1: inbox.foo: unknown key"},
		{"[inbox]\ndir = 'a'\ndir = 'b'", "c:3: "},
		{"[inbox]\n[inbox]", "c:2: "},
		{"[inbox]\ndir = ", "c:2: "},
		{"[inbox\n", "c:1: "},
		{"[inbox]\ndir = \"\xff\"", "c:2: "},
		{"[inbox]\n\"\\u202efoo\" = 1", `c:2: inbox.\u{202e}foo: unknown key`},
	} {
		_, err := config.Parse("c", []byte(tt.text), keys)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || proto.CodeOf(err) != proto.Config || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	f, err := config.Load(path, keys)
	if err != nil || len(f.Tables("peers")) != 0 {
		t.Fatalf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("[inbox]\nforce = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err = config.Load(path, keys); err != nil {
		t.Fatal(err)
	}
	if v, ok := f.Lookup("inbox.force"); !ok || v.Words[0] != "true" || v.At != path+":2" {
		t.Errorf("got %+v", v)
	}
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	if _, err = config.Load(path, keys); proto.CodeOf(err) != proto.Config || !strings.Contains(err.Error(), "0664") {
		t.Errorf("a file that others may write: got %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Chown(path, 12345, -1) == nil { // only root may
		if _, err = config.Load(path, keys); proto.CodeOf(err) != proto.Config || !strings.Contains(err.Error(), "user 12345") {
			t.Errorf("a file of another user: got %v", err)
		}
	}
	if _, err = config.Load(dir, keys); proto.CodeOf(err) != proto.Config {
		t.Errorf("a folder: got %v", err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = config.Load(big, keys); proto.CodeOf(err) != proto.Config {
		t.Errorf("a large file: got %v", err)
	}
}

// FuzzParse wants each error to have one line and the code config.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"[inbox]\ndir = 'a'", "peers.a = {via='tcp'}", "[[peers.a]]\nvia=1", "a.b.c = [1,{x=1}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := config.Parse("c", text, keys)
		if err != nil && (proto.CodeOf(err) != proto.Config || strings.Contains(err.Error(), "\n") || file != nil) {
			t.Errorf("got %v", err)
		}
	})
}
