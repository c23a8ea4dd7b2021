package listen

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/xtest"
	"mesh/tools/cmdline/cmdlinetest"
	"mesh/tools/config"
)

// TestMain keeps the settings and the key of the user out of the tests.
func TestMain(m *testing.M) { cmdlinetest.Main(m) }

func TestModes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args    string
		mode    mode
		command []string
		once    bool
		most    int // peers
	}{
		{"", join, nil, false, defaultMax},
		{"-- cat -n", serve, []string{"cat", "-n"}, false, defaultMax},
		{"--max 3 -- cat", serve, []string{"cat"}, false, 3},
		{"--once -- cat", serve, []string{"cat"}, true, defaultMax},
		{"a b", offer, nil, false, defaultMax},
		{"--serve --max 3 a", offer, nil, false, 3},
		{"--inbox d", inbox, nil, false, defaultMax},
		{"--inbox d --max 3 --by-peer --name n --force", inbox, nil, false, 3},
	} {
		o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(tt.args)...)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		if o.mode != tt.mode || !slices.Equal(o.command, tt.command) || o.once != tt.once || o.offer.Max != tt.most {
			t.Errorf("%s: got mode %d, command %q, once %v, max %d", tt.args, o.mode, o.command, o.once, o.offer.Max)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code proto.Code
		want string
	}{
		{"--inbox d -- cat", proto.Usage, "either --inbox or a command"},
		{"--max 2", proto.Usage, "--max and --once go with a command"},
		{"--once", proto.Usage, "--max and --once go with a command"},
		{"--once --inbox d", proto.Usage, "--max and --once go with a command"},
		{"--tty -- cat", proto.Usage, "unknown flag --tty"},
		{"--control", proto.Usage, "unknown flag --control"},
		{"--by-peer", proto.Usage, "--by-peer goes with --inbox"},
		{"--on-receive cmd -- cat", proto.Usage, "--on-receive goes with --inbox"},
		{"--on-receive-timeout 1s", proto.Usage, "--on-receive-timeout goes with --inbox"},
		{"--force", proto.Usage, "--force goes with --inbox"},
		{"--rename", proto.Usage, "--rename goes with --inbox"},
		{"--portable", proto.Usage, "--portable goes with --inbox"},
		{"--any-names -- cat", proto.Usage, "--any-names goes with --inbox"},
		{"--max-size 1", proto.Usage, "--max-size goes with --inbox"},
		{"--max-files 1", proto.Usage, "--max-files goes with --inbox"},
		{"--name n", proto.Usage, "--name goes with --inbox"},
		{"--name n -- cat", proto.Usage, "--name goes with --inbox"},
		{"--max 0 -- cat", proto.Usage, "--max is at least 1"},
		{"-- no-such-command", proto.IO, `run "no-such-command"`},
		{"--", proto.Usage, `no command after "--"`},
		{"a -- cat", proto.Usage, "either files or a command"},
		{"--inbox d a", proto.Usage, "either --inbox or files"},
		{"--serve", proto.Usage, "--serve goes with files"},
		{"--serve --inbox d", proto.Usage, "--serve goes with files"},
		{"--max 2 a", proto.Usage, "files are offered to one peer"},
		{"--once a", proto.Usage, "files are offered to one peer"},
		{"--serve --once a", proto.Usage, "files are offered to one peer"},
		{"--archive a b", proto.Usage, "--archive sends one archive"},
		{"--dry-run", proto.Usage, "--dry-run goes with files"},
		{"--symlinks skip --inbox d", proto.Usage, "--symlinks goes with files"},
		{"--force a", proto.Usage, "--force goes with --inbox"},
	} {
		_, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(tt.args)...)
		xtest.WantCode(t, tt.args, err, tt.code)
		if err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, want %q in it", tt.args, err, tt.want)
		}
	}
}

// value is a setting of one word, as config.toml has it.
func value(word string) config.Value {
	return config.Value{Words: []string{word}, Key: "key", At: "test"}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	book := identity.Book{Dir: t.TempDir()}
	if err := book.Add(identity.Peer{Name: "al", ID: xtest.NewKey(t).ID()}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(other, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	peer := func(name string, keys ...string) func(*inboxFlags) {
		return func(f *inboxFlags) {
			table := peerTable{name: value(name), keys: make(map[string]config.Value)}
			for i := 0; i < len(keys); i += 2 {
				table.keys[keys[i]] = value(keys[i+1])
			}
			f.peers = append(f.peers, table)
		}
	}
	for _, tt := range []struct {
		what string
		set  func(*inboxFlags)
		code proto.Code
		want string
	}{
		{"a folder", func(*inboxFlags) {}, proto.OK, ""},
		{"no folder", func(f *inboxFlags) { f.dir = filepath.Join(other, "none") }, proto.IO, ""},
		{"a file", func(f *inboxFlags) { f.dir = file }, proto.Unsafe, "is not a folder"},
		{"a name", func(f *inboxFlags) { f.name = "n" }, proto.OK, ""},
		{"a path as name", func(f *inboxFlags) { f.name = "a/b" }, proto.Usage, "--name: "},
		{"a name with the time", func(f *inboxFlags) { f.name = "{peer}-{host}-{date}{time}" }, proto.OK, ""},
		{"a name with another word", func(f *inboxFlags) { f.name = "{job}" }, proto.Usage, `--name: "{job}" is none of`},
		{"keep", func(f *inboxFlags) { f.name, f.keep = "{date}", value("14") }, proto.OK, ""},
		{"keep one name", func(f *inboxFlags) { f.name, f.keep = "db", value("14") }, proto.Config, "{date} or {time}"},
		{"keep without a name", func(f *inboxFlags) { f.keep = value("14") }, proto.Config, "{date} or {time}"},
		{"keep none", func(f *inboxFlags) { f.name, f.keep = "{date}", value("0") }, proto.Config, "at least 1"},
		{"keep too many", func(f *inboxFlags) { f.name, f.keep = "{date}", value("10001") }, proto.Config, "at most 10000"},
		{"keep of a peer", func(f *inboxFlags) { f.name = "{date}"; peer("al", "keep", "2")(f) }, proto.OK, ""},
		{"keep of a peer without a name", peer("al", "keep", "2"), proto.Config, "{date} or {time}"},
		{"force", func(f *inboxFlags) { f.receive.Force, f.given = true, map[string]bool{"force": true} }, proto.OK, ""},
		{"both given", func(f *inboxFlags) {
			f.receive.Force, f.receive.Rename, f.given = true, true, map[string]bool{"force": true, "rename": true}
		}, proto.Usage, "either --force or --rename"},
		{"both set", func(f *inboxFlags) { f.receive.Force, f.receive.Rename = true, true }, proto.Config, "inbox.force and inbox.rename"},
		{"one given, one set", func(f *inboxFlags) {
			f.receive.Force, f.receive.Rename, f.given = true, true, map[string]bool{"rename": true}
		}, proto.OK, ""},
		{"a peer", peer("al", "allow", "send", "dir", "als", "max-size", "1M", "max-files", "3"), proto.OK, ""},
		{"a peer with a folder", peer("al", "dir", other), proto.OK, ""},
		{"an unknown peer", peer("bo"), proto.Config, "no such peer"},
		{"unknown caps", peer("al", "allow", "fly"), proto.Config, ""},
		{"a path within the inbox", peer("al", "dir", "../x"), proto.Config, ""},
		{"a missing folder", peer("al", "dir", filepath.Join(other, "none")), proto.Config, ""},
		{"size 0", peer("al", "max-size", "0"), proto.Config, "at least 1"},
		{"no number", peer("al", "max-files", "few"), proto.Config, ""},
	} {
		f := inboxFlags{dir: dir}
		tt.set(&f)
		s, err := f.check(book)
		xtest.WantCode(t, tt.what, err, tt.code)
		switch {
		case err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: got %q, want %q in it", tt.what, err, tt.want)
		case err == nil && s.receive.Force && s.receive.Rename:
			t.Errorf("%s: got both force and rename", tt.what)
		}
	}
	f := inboxFlags{dir: dir}
	peer("al", "allow", "send", "dir", "als", "max-size", "1M", "max-files", "3")(&f)
	s, err := f.check(book)
	if want := (peerSettings{proto.CapSend, "als", 0, 1 << 20, 3}); err != nil || s.peers["al"] != want {
		t.Errorf("got %+v, %v, want %+v", s.peers["al"], err, want)
	}
}

func TestLimitOf(t *testing.T) {
	t.Parallel()
	book := identity.Book{Dir: t.TempDir()}
	two, one := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	for _, p := range []identity.Peer{{Name: "a", ID: two}, {Name: "b", ID: two}, {Name: "c", ID: one}} {
		if err := book.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	s := &settings{peers: map[string]peerSettings{
		"a": {allow: proto.CapSend | proto.CapRecv, maxBytes: 1}, "b": {allow: proto.CapSend, maxBytes: 2},
	}}
	for _, tt := range []struct {
		what string
		id   identity.ID
		s    *settings
		caps proto.Caps
		most int64
	}{
		{"two names", two, s, proto.CapSend, 1},
		{"a name without settings", one, s, proto.AllCaps, 0},
		{"no name", xtest.NewKey(t).ID(), s, proto.AllCaps, 0},
		{"no settings", two, new(settings), proto.AllCaps, 0},
	} {
		p, err := tt.s.of(book, tt.id)
		if caps, lerr := tt.s.limitOf(book, tt.id); caps != tt.caps || p.maxBytes != tt.most || err != nil || lerr != nil {
			t.Errorf("%s: got %v and %d bytes, %v, want %v and %d", tt.what, caps, p.maxBytes, err, tt.caps, tt.most)
		}
	}
}

func TestOnReceiveTimeout(t *testing.T) {
	t.Parallel()
	o, err := cmdlinetest.Read(t, Command, optionsOf, "--inbox", "d", "--on-receive", "true", "--on-receive-timeout", "1m")
	if err != nil || o.inbox.onReceive != "true" || o.inbox.onReceiveFor != time.Minute || o.inbox.dir != "d" {
		t.Errorf("got %+v, %v", o.inbox, err)
	}
}
