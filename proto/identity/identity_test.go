package identity_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	id := xtest.NewKey(t).ID()
	text := id.String()
	if got, err := identity.ParseID(text); got != id || err != nil {
		t.Fatalf("ParseID(%s): got %s (%v)", text, got, err)
	}
	bad := []string{"", "mk1", text[:len(text)-1], text + "a", strings.ToUpper(text), " " + text, "mk2" + text[3:]}
	for i := range text {
		c := byte('a')
		if text[i] == c {
			c = 'b'
		}
		bad = append(bad, text[:i]+string(c)+text[i+1:])
	}
	for _, s := range bad {
		if _, err := identity.ParseID(s); err == nil {
			t.Errorf("ParseID(%q): taken, want it refused", s)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(xtest.NewKey(f).ID().String())
	f.Add("mk1")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := identity.ParseID(s); err == nil && id.String() != s {
			t.Errorf("got %s again, want %s", id, s)
		}
	})
}

func TestLoadKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "state")
	var wg sync.WaitGroup
	ids := make(chan identity.ID, 8) // sent by each loader once
	for range cap(ids) {
		wg.Go(func() {
			k, err := identity.LoadKey(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids <- k.ID()
		})
	}
	wg.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("two that start at once got the keys of %s and %s", id, first)
		}
	}
	info, err := os.Stat(filepath.Join(dir, identity.KeyFile))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("node key: got mode %v (%v), want 0600", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %d files, want the key alone", len(entries))
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	b := identity.Book{Dir: t.TempDir()}
	known := filepath.Join(b.Dir, identity.KnownPeersFile)
	if err := os.WriteFile(known, []byte("# mine\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id, other := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	xtest.WantCode(t, "add", b.Add(identity.Peer{Name: "bob", ID: id, Addrs: []string{"192.0.2.1:1", "[2001:db8::1]:2"}}), proto.OK)
	xtest.WantCode(t, "add again", b.Add(identity.Peer{Name: "bob", ID: id, Addrs: []string{"bob.example:3"}}), proto.OK)
	xtest.WantCode(t, "add another key", b.Add(identity.Peer{Name: "bob", ID: other}), proto.Identity)
	p, found, err := b.Lookup("bob")
	if !found || err != nil || p.ID != id || len(p.Addrs) != 1 || b.NameOf(id) != "bob" || b.NameOf(other) != "" {
		t.Errorf("got %+v (%v, %v), want bob with the newer address", p, found, err)
	}
	if text, _ := os.ReadFile(known); !strings.HasPrefix(string(text), "# mine\n") {
		t.Errorf("got %q, want the comment kept", text)
	}
	for _, name := range []string{"", ".bob", "-bob", "a b", "a\nb", "b\x1bob", "mesh1x", "mk1x", strings.Repeat("x", 64), "bøb"} {
		xtest.WantCode(t, "add "+name, b.Add(identity.Peer{Name: name, ID: id}), proto.Usage)
	}
	for _, addr := range []string{"", "bob", "bob:", ":1", "bob:0", "bob:65536", "bob:01", "b ob:1", "bob:1,c:2", "bob:x", "[b:1]:1", "[::1", "[::g]:1"} {
		xtest.WantCode(t, "addr "+addr, b.Add(identity.Peer{Name: "x", ID: id, Addrs: []string{addr}}), proto.Usage)
	}
	if gone, err := b.Forget("bob"); !gone || err != nil {
		t.Errorf("forget: got %v (%v)", gone, err)
	}
	if gone, err := b.Forget("bob"); gone || err != nil {
		t.Errorf("forget twice: got %v (%v)", gone, err)
	}
	xtest.WantCode(t, "allow", b.Allow(id, proto.CapSend), proto.OK)
	xtest.WantCode(t, "allow again", b.Allow(id, proto.CapSend|proto.CapRecv), proto.OK)
	for who, want := range map[identity.ID]proto.Caps{id: proto.CapSend | proto.CapRecv, other: 0} {
		if got, err := b.Authorized(who); got != want || err != nil {
			t.Errorf("%s may %v (%v), want %v", who.Short(), got, err, want)
		}
	}
	twice := id.String() + " send\n" + other.String() + " recv # here\n" + id.String() + " recv\n"
	if err := os.WriteFile(filepath.Join(b.Dir, identity.AuthorizedPeersFile), []byte(twice), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []identity.Grant{{ID: other, Caps: proto.CapRecv}, {ID: id, Caps: proto.CapRecv}}
	if got, err := b.Grants(); !slices.Equal(got, want) || err != nil {
		t.Errorf("granted twice: got %v (%v), want %v", got, err, want)
	}
	xtest.WantCode(t, "allow nothing", b.Allow(id, 0), proto.OK)
	if got, err := b.Authorized(id); got != 0 || err != nil {
		t.Errorf("may %v (%v), want nothing any more", got, err)
	}
	if err := os.WriteFile(known, []byte("# fine\nbob nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = b.Known()
	xtest.WantCode(t, "bad line", err, proto.Config)
	if !strings.Contains(err.Error(), "known_peers:2: ") {
		t.Errorf("got %v, want file and line", err)
	}
}

func TestAddAtOnce(t *testing.T) {
	t.Parallel()
	b := identity.Book{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for i := range 20 {
		id := xtest.NewKey(t).ID()
		wg.Go(func() {
			if err := b.Add(identity.Peer{Name: "p" + string(rune('a'+i)), ID: id}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if peers, err := b.Known(); len(peers) != 20 || err != nil {
		t.Errorf("got %d peers (%v), want all 20", len(peers), err)
	}
}

func FuzzKnownPeers(f *testing.F) {
	f.Add("bob " + xtest.NewKey(f).ID().String() + " 192.0.2.1:1,b.example:2 # comment\n")
	f.Add("a b c d\n")
	f.Fuzz(func(t *testing.T, text string) {
		b := identity.Book{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(b.Dir, identity.KnownPeersFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		peers, err := b.Known()
		if err != nil {
			return
		}
		for _, p := range peers {
			if err := identity.CheckName(p.Name); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzAuthorizedPeers(f *testing.F) {
	id := xtest.NewKey(f).ID()
	f.Add(id.String() + " send,recv # comment\n")
	f.Add("# " + id.String() + " send\n")
	f.Add(id.String() + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		b := identity.Book{Dir: t.TempDir()}
		path := filepath.Join(b.Dir, identity.AuthorizedPeersFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		caps, err := b.Authorized(id)
		if caps != 0 && (err != nil || !strings.Contains(text, id.String()) || caps&^proto.AllCaps != 0) {
			t.Errorf("%s may %v (%v) by %q", id.Short(), caps, err, text)
		}
		if err == nil && b.Allow(id, proto.CapSend) == nil {
			if caps, err := b.Authorized(id); caps != proto.CapSend || err != nil {
				t.Errorf("got %v (%v), want what was allowed last", caps, err)
			}
		}
	})
}

func TestEachWrongCharacter(t *testing.T) {
	t.Parallel()
	text := xtest.NewKey(t).ID().String()
	for i := range text {
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567019ABZ =\n\x00" {
			if byte(c) == text[i] {
				continue
			}
			bad := text[:i] + string(c) + text[i+1:]
			if _, err := identity.ParseID(bad); err == nil {
				t.Errorf("ParseID(%q): taken, want it refused (%s is right)", bad, text)
			}
		}
	}
	var id identity.ID
	if err := id.UnmarshalText([]byte(text[1:])); err == nil || id != (identity.ID{}) {
		t.Errorf("UnmarshalText: got %s (%v), want an error", id, err)
	}
}

func TestKeyFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	first, err := identity.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: got mode %v (%v), want 0700", info.Mode(), err)
	}
	if again, err := identity.LoadKey(dir); err != nil || again.ID() != first.ID() {
		t.Errorf("second use: got %v (%v), want %v", again, err, first)
	}
	path := filepath.Join(dir, identity.KeyFile)
	for mode, want := range map[os.FileMode]proto.Code{
		0o600: proto.OK, 0o400: proto.OK, 0o604: proto.Config, 0o640: proto.Config, 0o620: proto.Config, 0o601: proto.Config, 0o644: proto.Config,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := identity.LoadKey(dir)
		xtest.WantCode(t, mode.String(), err, want)
	}
}

// Known reads every entry that Add accepts: one bad address would make the whole file
// unreadable.
func TestAddedIsRead(t *testing.T) {
	t.Parallel()
	id := xtest.NewKey(t).ID()
	for _, addr := range []string{
		"a:1", "A-b.example:65535", "[::1]:1", "[fe80::1%eth0]:1", "192.0.2.1:1", strings.Repeat("h", 253) + ":1", strings.Repeat("h", 254) + ":1",
		"a#b:1", "#:1", "a,b:1", "a\tb:1", "a\nb:1", "a\u00a0b:1", "a\u2028b:1", "a\x00b:1", "a\x1bb:1", "a\xffb:1", "a:00001", "a:+1", "a:1:2", "[a:1", "a]:1",
	} {
		b := identity.Book{Dir: t.TempDir()}
		if err := b.Add(identity.Peer{Name: "bob", ID: id, Addrs: []string{addr}}); err != nil {
			xtest.WantCode(t, addr, err, proto.Usage)
			continue
		}
		p, found, err := b.Lookup("bob")
		if !found || err != nil || len(p.Addrs) != 1 || p.Addrs[0] != addr {
			t.Errorf("added %q: got %+v (%v, %v), want it back", addr, p, found, err)
		}
	}
	addrs := make([]string, identity.MaxAddrs+1)
	for i := range addrs {
		addrs[i] = "a:1"
	}
	b := identity.Book{Dir: t.TempDir()}
	xtest.WantCode(t, "most addresses", b.Add(identity.Peer{Name: "bob", ID: id, Addrs: addrs[1:]}), proto.OK)
	xtest.WantCode(t, "one more", b.Add(identity.Peer{Name: "bob", ID: id, Addrs: addrs}), proto.Usage)
}

func TestCommentsSurvive(t *testing.T) {
	t.Parallel()
	b := identity.Book{Dir: t.TempDir()}
	path := filepath.Join(b.Dir, identity.KnownPeersFile)
	alice, bob := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	last := "alice " + alice.String() + " # no end of line"
	if err := os.WriteFile(path, []byte("# top\n\n  # middle\n"+last), 0o600); err != nil {
		t.Fatal(err)
	}
	xtest.WantCode(t, "add", b.Add(identity.Peer{Name: "bob", ID: bob}), proto.OK)
	gone, err := b.Forget("bob")
	if !gone || err != nil {
		t.Errorf("forget: got %v (%v)", gone, err)
	}
	text, err := os.ReadFile(path)
	if want := "# top\n\n  # middle\n" + last + "\n"; string(text) != want {
		t.Errorf("got %q (%v), want %q", text, err, want)
	}
}

func TestBadPeerFiles(t *testing.T) {
	t.Parallel()
	id := xtest.NewKey(t).ID()
	for what, c := range map[string]struct{ file, text, at string }{
		"no id":          {identity.KnownPeersFile, "\nbob\n", ":2: "},
		"too many words": {identity.KnownPeersFile, "bob " + id.String() + " a:1 b:2", ":1: "},
		"bad name":       {identity.KnownPeersFile, "# x\n# y\n.bob " + id.String(), ":3: "},
		"bad address":    {identity.KnownPeersFile, "bob " + id.String() + " a:1,", ":1: "},
		"no caps":        {identity.AuthorizedPeersFile, id.String() + "\n", ":1: "},
		"unknown caps":   {identity.AuthorizedPeersFile, id.String() + " send\n" + id.String() + " root\n", ":2: "},
		"bad id":         {identity.AuthorizedPeersFile, id.String() + " send\nmk1 send\n", ":2: "},
		"too large":      {identity.AuthorizedPeersFile, strings.Repeat("#", 1<<20+1), ""},
	} {
		b := identity.Book{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(b.Dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := b.Known()
		if c.file == identity.AuthorizedPeersFile {
			var caps proto.Caps
			if caps, err = b.Authorized(id); caps != 0 {
				t.Errorf("%s: may %v, want nothing by a bad file", what, caps)
			}
		}
		xtest.WantCode(t, what, err, proto.Config)
		if want := c.file + c.at; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s in it", what, err, want)
		}
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	k := xtest.NewKey(t)
	want := "key of " + k.ID().Short()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, k); got != want {
			t.Errorf("%s shows %s, want %s", verb, got, want)
		}
	}
}
