package files_test

import (
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"mesh/pipe/files"
	"mesh/proto"
)

// forbidden returns paths that a peer must never name.
func forbidden() []string {
	long := strings.Repeat("n", proto.MaxNameBytes+1)
	return []string{
		"", ".", "..", "/", "//", "/etc/passwd", "./a", "../a", "../../a", "a/..", "a/../b", "a/../../b", "a/.", "a/./b",
		"a//b", "a/", "a/b/", "//a", "/a", ".hidden", ".ssh/authorized_keys", "..a", "...", "-rf", "--", "-", "-o/a",
		".mesh-x.part", "a/.mesh-x.part", "a/.MESH-x", ".mesh-", "a/.mesh-/b", "a/.Mesh-ABC.part", "a/.meſh-x",
		"a\x00", "\x00", "a\x00/b", "a/\xff\x00",
		long, "a/" + long, long + "/a", strings.Repeat("ü", 128), strings.Repeat("d/", proto.MaxDepth) + "a", strings.Repeat("\xff", 256),
		strings.Repeat(strings.Repeat("x", 100)+"/", 41) + "a", strings.Repeat("a/", 3000),
		"a/../../../../../../etc/shadow", "dir/../.bashrc", "../.", "..//a", "./..", "././a", ".//a", "~/../..", "a/b/../../../c", ".git/../../x",
		`..\a`, `..\a/..`, "\xff/../a", "\xff/..",
		// To a file system that ignores some characters these begin with a dot, or are like our files.
		"\u200c.ssh", "\u200d.", "\u200d\u200d..", "\u200b.hidden", "\ufeff-rf", "\u00ad.x", "\ufe0f.x", "a/\u200d.mesh-x.part", "a/.me\u00adsh-x", "a/.mesh\u2060-x",
	}
}

// deceptive returns paths that may deceive a terminal or its reader. They are accepted
// with AnyNames only.
func deceptive() []string {
	paths := []string{
		"a\nb", "\n", "a\r", "a\tb", "\x1b[2J", "a/\x1b]0;t\x07", "a\x7f", "a\u0080", "a\u009b31m", "\u0085", "a\xff\n", "\xff\x1b[2J",
		"a\u202eb", "\u202atxt", "a/\u202b", "\u202c", "a\u202d", "\u2066x", "\u2067x", "\u2068x", "\u2069x", "a/\u202e/b",
		"a\u2028", "a\u2029b", "a\U000e0001", "a\U000e0041", "a\U000e007f",
	}
	for r := rune(1); r < ' '; r++ {
		paths = append(paths, "c"+string(r))
	}
	for r := rune(0x7f); r < 0xa0; r++ {
		paths = append(paths, "c"+string(r))
	}
	return paths
}

// hostile returns paths that a peer must not name without AnyNames.
func hostile() []string { return append(forbidden(), deceptive()...) }

// unusual returns paths that a Linux system stores, and that are accepted and shown
// escaped: not all systems store them.
func unusual() []string {
	return []string{
		`a\b`, `\`, `\\server\share`, `a/..\b`, `C:\a`, `a/b\`, `dev-disk-by\x2duuid.device`,
		"a\u200e", "a\u200f", "a\u061c", "a\u200bb", "\ufeffa", "a\ufeff", "a\u00adb", "a\u2060b", "a\u180eb", "a\u206a", "a\ufff9b", "a\U0001d173",
		"a\ufffe", "a\uffff", "a\U0001ffff", "a\ufdd0", "\ufdd0\ufde0", "a\ufffd",
		"\xff", "a\xffb", "a/\xc3", "\xc0\xaf", "a\xe2\x80", "\xed\xa0\x80", "a\xf4\x90\x80\x80", "\xc0\xae\xc0\xae/a", "\x80", "\xfe\xfe", "caf\xe9/\xb1\xe2",
	}
}

func TestHostilePaths(t *testing.T) {
	t.Parallel()
	paths := hostile()
	if len(paths) < 100 {
		t.Errorf("got %d hostile paths, want 100", len(paths))
	}
	for _, path := range paths {
		err := files.CheckPath(path, files.UsualNames)
		if got := proto.CodeOf(err); got != proto.Unsafe {
			t.Errorf("%q: got %v (%v), want %v", path, got, err, proto.Unsafe)
			continue
		}
		if files.CheckPath(path, files.PortableNames) == nil {
			t.Errorf("%q is portable", path)
		}
		for _, r := range err.Error() {
			if !unicode.IsPrint(r) {
				t.Errorf("%q: the error shows %q", path, r)
			}
		}
	}
}

func TestAnyNames(t *testing.T) {
	t.Parallel()
	for _, path := range forbidden() {
		if got := proto.CodeOf(files.CheckPath(path, files.AnyNames)); got != proto.Unsafe {
			t.Errorf("%q: got %v, want %v", path, got, proto.Unsafe)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, path := range append(deceptive(), unusual()...) {
		if err := files.CheckPath(path, files.AnyNames); err != nil {
			t.Errorf("%q: got %v, want no error", path, err)
		}
	}
	for _, path := range unusual() {
		if err := files.CheckPath(path, files.UsualNames); err != nil {
			t.Errorf("%q: got %v, want no error", path, err)
		}
		if got := proto.CodeOf(files.CheckPath(path, files.PortableNames)); got != proto.Unsafe && path != "a\ufffd" {
			t.Errorf("%q, portable: got %v, want %v", path, got, proto.Unsafe)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"a", "a/b", "a/.gitignore", "a/-not-hidden/b", "a/..b", "a/...", "a b", " a", "a.", "con", "a:b", "ü", "日本語", "می\u200cخواهم", "👩\u200d👩\u200d👧", "a~", "~a", "#a", "*", "a/'b'",
		strings.Repeat("n", proto.MaxNameBytes), strings.Repeat("d/", proto.MaxDepth-1) + "a", "mesh-x.part", "a/.mesh", "❤️",
	} {
		if err := files.CheckPath(path, files.UsualNames); err != nil {
			t.Errorf("%q: got %v, want no error", path, err)
		}
	}
}

func TestPortablePaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"con", "CON", "a/Con.txt", "nul", "NUL.tar.gz", "aux", "prn", "com1", "COM9.log", "lpt1", "LPT0", "com¹", "a/lpt³.x", "conin$", "CONOUT$", "clock$", "con .txt",
		"a.", "a ", "a/b. ", "a/b./c", "a<b", "a>b", "a:b", `a"b`, "a|b", "a?", "a*",
		"a:stream", "a::$DATA", "NUL", "a/nul", "nul\u200d", "n\u00adul.txt", "a.\u200d", "a.\ufe0f", "a/\u200c.git", "a\u200d.txt", "a/\u200d", "a/.\u200d.", "a/\u200d\u200c..",
	} {
		if got := proto.CodeOf(files.CheckPath(path, files.PortableNames)); got != proto.Unsafe {
			t.Errorf("%q: got %v, want %v", path, got, proto.Unsafe)
		}
		if err := files.CheckPath(path, files.UsualNames); err != nil {
			t.Errorf("%q: got %v where it need not be portable", path, err)
		}
	}
	for _, path := range []string{"console", "a/com", "com10", "lpt", "nulls.txt", "a.b", "a b", "می\u200cخواهم.txt", "👩\u200d👧.jpg", "❤\ufe0f.png", "a/.git"} {
		if err := files.CheckPath(path, files.PortableNames); err != nil {
			t.Errorf("%q: got %v, want no error", path, err)
		}
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, path := range append(append(hostile(), unusual()...), "a", "a/b", "ß/SS", "é") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		all, usual, portable := files.CheckPath(path, files.AnyNames), files.CheckPath(path, files.UsualNames), files.CheckPath(path, files.PortableNames)
		if all != nil && usual == nil || usual != nil && portable == nil {
			t.Errorf("%q is refused (%v, %v), but not by a stricter rule", path, all, usual)
		}
		for _, err := range []error{all, usual, portable} {
			if got := proto.CodeOf(err); err != nil && got != proto.Unsafe {
				t.Errorf("%q: got %v, want %v", path, got, proto.Unsafe)
			}
		}
		if all == nil {
			if strings.HasPrefix(path, "/") || strings.Contains(path, "\x00") || len(path) > proto.MaxPathBytes {
				t.Errorf("%q is accepted", path)
			}
			for name := range strings.SplitSeq(path, "/") {
				if name == "" || name == "." || name == ".." || len(name) > proto.MaxNameBytes || strings.HasPrefix(strings.ToLower(name), ".mesh-") {
					t.Errorf("%q is accepted", path)
				}
			}
		}
		if usual == nil && strings.ContainsAny(path, "\n\x1b\u009b\u202e\u2066\u2028") {
			t.Errorf("%q is accepted", path)
		}
		if portable == nil && (strings.Contains(path, `\`) || !utf8.ValidString(path)) {
			t.Errorf("%q is portable", path)
		}
	})
}
