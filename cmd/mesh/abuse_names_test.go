//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
)

// Names that leave the folder, or that another system takes for other names, are
// refused (42), and the delivery goes on.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	usual := []string{
		"..", "../out", "a/../../out", "a/..", "/out", "/", "a//b", "a/", "./out", "a/./b", "a\x00", "\x00", "a/\x00/b",
		".ssh", "-rf", "\u200c.ssh", "\u200d..", "\u200b.hidden", ".mesh-x.part", "a/.mesh-x.part", strings.Repeat("n", 256), strings.Repeat("d/", 100) + "x",
		"a\nb", "a\x1b[2Jb", "a\u202eb",
	}
	portable := []string{
		"NUL", "nul.txt", "a/CON", "com1", "LPT9.log", "a:stream", "a::$DATA", "a.", "a ", "a/b. ", "a/.\u200d", "a/\u200c.git", "a.\u200d",
		`a\b`, `..\out`, `C:\out`, "a<", "a|b", "a?", "a*", `a"`,
	}
	for name, row := range map[string]struct{ flags, names []string }{
		"usual":    {nil, usual},
		"portable": {[]string{"--portable"}, append(portable, usual...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tok := inboxOf(t, dir, row.flags...)
			l := deliver(t, tok, anyListener())
			for i, path := range row.names {
				f, err := l.Offer(attacker.File(i+1, path, []byte("x")))
				if err != nil || f.Text("code") != "42" {
					t.Errorf("%q: got %s (%v), want code 42", path, f.Body, err)
				}
				if err != nil {
					return
				}
			}
			id := len(row.names) + 1
			if _, err := l.Offer(attacker.File(id, "good", []byte("x"))); err != nil {
				t.Fatal(err)
			}
			if err := l.Whole(id, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if f, err := l.Total(id); err != nil || f.Text("files") != "1" || f.Text("refused") != fmt.Sprint(len(row.names)) {
				t.Errorf("got %s (%v), want one file stored and %d refused", f.Body, err, len(row.names))
			}
			l.Finish()
			wantNames(t, filepath.Join(dir, "in"), "good")
			wantNames(t, dir, "home", "in", "tok")
		})
	}
}

// No link of a sender leads out of the folder.
func TestHostileLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	tok := inboxOf(t, dir)
	for i, target := range []string{out, "../out", "../../out", "..", "/", "d/../../../out"} {
		l := deliver(t, tok, anyListener())
		name := fmt.Sprint("l", i)
		if _, err := l.Offer(attacker.Entry{ID: 1, Path: name, Kind: "symlink", Mode: 0o777, Target: target}); err != nil {
			continue // it ended the delivery
		}
		f, err := l.Offer(attacker.File(2, name+"/through", []byte("x")))
		if err == nil && f.Text("code") == "" {
			_ = l.Whole(2, []byte("x"))
		}
		_, _ = l.Total(2)
		l.Finish()
		if got, err := os.Readlink(filepath.Join(dir, "in", name)); err == nil {
			t.Errorf("a link to %s is stored, to %s", target, got)
		}
	}
	wantNames(t, out)
	wantNames(t, dir, "home", "in", "out", "tok")
}

// wantNames fails the test if a folder has other names.
func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}
