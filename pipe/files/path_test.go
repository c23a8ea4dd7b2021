package files_test

import (
	"strings"
	"testing"
	"unicode"

	"mesh/pipe/files"
	"mesh/proto"
)

// hostile returns paths that a peer must not name.
func hostile() []string {
	long := strings.Repeat("n", proto.MaxNameBytes+1)
	paths := []string{
		"", ".", "..", "/", "//", "/etc/passwd", "./a", "../a", "../../a", "a/..", "a/../b", "a/../../b", "a/.", "a/./b",
		"a//b", "a/", "a/b/", "//a", "/a", ".hidden", ".ssh/authorized_keys", "..a", "...", "-rf", "--", "-", "-o/a",
		".mesh-x.part", "a/.mesh-x.part", "a/.MESH-x", ".mesh-", "a/.mesh-/b", "a/.Mesh-ABC.part", "a/.meſh-x",
		`a\b`, `\`, `\\server\share`, `..\a`, `a/..\b`, `C:\a`, `a/b\`,
		"a\x00", "\x00", "a\x00/b", "a\nb", "\n", "a\r", "a\tb", "\x1b[2J", "a/\x1b]0;t\x07", "a\x7f", "a\u0080", "a\u009b31m", "\u0085",
		"a\u202eb", "\u202atxt", "a/\u202b", "\u202c", "a\u202d", "\u2066x", "\u2067x", "\u2068x", "\u2069x", "a\u200e", "a\u200f", "a\u061c",
		"a\u200bb", "\ufeffa", "a\ufeff", "a\u00adb", "a\u2028", "a\u2029b", "a\u2060b", "a\u180eb", "a\u206a", "a\ufff9b", "a\U000e0041", "a\U0001d173",
		"a\ufffe", "a\uffff", "a\U0001ffff", "a\ufdd0",
		"\xff", "a\xffb", "a/\xc3", "\xc0\xaf", "a\xe2\x80", "\xed\xa0\x80", "a\xf4\x90\x80\x80", "\xc0\xae\xc0\xae/a", "\x80", "\xfe\xfe",
		long, "a/" + long, long + "/a", strings.Repeat("ü", 128), strings.Repeat("d/", proto.MaxDepth) + "a",
		strings.Repeat(strings.Repeat("x", 100)+"/", 41) + "a", strings.Repeat("a/", 3000),
		"a/../../../../../../etc/shadow", "dir/../.bashrc", "../.", "..//a", "./..", "././a", ".//a", "~/../..", "a/b/../../../c", ".git/../../x", "a/\u202e/b",
	}
	for r := rune(1); r < ' '; r++ {
		paths = append(paths, "c"+string(r))
	}
	return paths
}

func TestHostilePaths(t *testing.T) {
	t.Parallel()
	paths := hostile()
	if len(paths) < 100 {
		t.Errorf("got %d hostile paths, want 100", len(paths))
	}
	for _, path := range paths {
		err := files.CheckPath(path, false)
		if got := proto.CodeOf(err); got != proto.Unsafe {
			t.Errorf("%q: got %v (%v), want %v", path, got, err, proto.Unsafe)
			continue
		}
		for _, r := range err.Error() {
			if !unicode.IsPrint(r) {
				t.Errorf("%q: the error shows %q", path, r)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"a", "a/b", "a/.gitignore", "a/-not-hidden/b", "a/..b", "a/...", "a b", " a", "a.", "con", "a:b", "ü", "日本語", "می\u200cخواهم", "👩\u200d👩\u200d👧", "a~", "~a", "#a", "*", "a/'b'",
		strings.Repeat("n", proto.MaxNameBytes), strings.Repeat("d/", proto.MaxDepth-1) + "a", "mesh-x.part", "a/.mesh", "❤️",
	} {
		if err := files.CheckPath(path, false); err != nil {
			t.Errorf("%q: got %v, want no error", path, err)
		}
	}
}

func TestPortablePaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"con", "CON", "a/Con.txt", "nul", "NUL.tar.gz", "aux", "prn", "com1", "COM9.log", "lpt1", "LPT0", "com¹", "a/lpt³.x", "conin$", "CONOUT$", "clock$", "con .txt",
		"a.", "a ", "a/b. ", "a/b./c", "a<b", "a>b", "a:b", `a"b`, "a|b", "a?", "a*",
	} {
		if got := proto.CodeOf(files.CheckPath(path, true)); got != proto.Unsafe {
			t.Errorf("%q: got %v, want %v", path, got, proto.Unsafe)
		}
		if err := files.CheckPath(path, false); err != nil {
			t.Errorf("%q: got %v where it need not be portable", path, err)
		}
	}
	for _, path := range []string{"console", "a/com", "com10", "lpt", "nulls.txt", "a.b", "a b"} {
		if err := files.CheckPath(path, true); err != nil {
			t.Errorf("%q: got %v, want no error", path, err)
		}
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, path := range append(hostile(), "a", "a/b", "ß/SS", "é") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		err := files.CheckPath(path, false)
		if err == nil {
			if strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\x00\\\n") || len(path) > proto.MaxPathBytes {
				t.Errorf("%q is taken", path)
			}
			for name := range strings.SplitSeq(path, "/") {
				if name == "" || name == "." || name == ".." || len(name) > proto.MaxNameBytes || strings.HasPrefix(strings.ToLower(name), ".mesh-") {
					t.Errorf("%q is taken", path)
				}
			}
			return
		}
		if got := proto.CodeOf(err); got != proto.Unsafe {
			t.Errorf("%q: got %v, want %v", path, got, proto.Unsafe)
		}
		if files.CheckPath(path, true) == nil {
			t.Errorf("%q is refused, but not where it must be portable", path)
		}
	})
}
