package exclude_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files/exclude"
	"mesh/proto"
	"mesh/proto/xtest"
)

// TestExcludes has what people write, for machines without git.
func TestExcludes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		patterns string // with spaces between them
		out, in  string // paths that are left out, and that are not
	}{
		{"*.o", "f.o a/f.o a/b/.o", "f.oo o"},
		{"/*.o", "f.o", "a/f.o"},
		{"build/", "build/ a/build/ build/f", "build a/build"},
		{"/build", "build build/", "a/build"},
		{"doc/*.txt", "doc/a.txt", "doc/x/a.txt x/doc/a.txt"},
		{"**/logs", "logs a/logs a/b/logs", "xlogs"},
		{"logs/**", "logs/a logs/a/b", "logs logs/"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "b x/a/b ab"},
		{"*.log !keep.log", "a.log x/a.log", "keep.log x/keep.log"},
		{"!keep.log *.log", "keep.log", "keep"},
		{"logs/ !logs/keep", "logs/ logs/keep", "keep"}, // what is in a folder that is left out stays out
		{"logs/* !logs/keep", "logs/a", "logs/ logs/keep"},
		{"* !*/ !*.go", "a.c x/a.c", "a.go x/a.go x/"},
		{`\!x`, "!x", "x"},
		{`\#x`, "#x", "x"},
		{"#x", "#x", "x"}, // a comment only in a file
		{"[!a]b", "bb", "ab"},
		{"[^a]b", "bb", "ab"},
		{"[a-c]", "b", "d"},
		{"[[:digit:]][[:upper:]]", "1A", "a1 1a"},
		{"a,b", "a,b", "a b"},
		{"{a,b}", "{a,b}", "a b"},
		{"[a", "", "a [a"},
		{`a\`, "", `a a\`},
		{"/", "", "a a/"},
		{"! //", "", "a"},
	} {
		l := new(exclude.List)
		for p := range strings.FieldsSeq(tt.patterns) {
			if err := l.Add(p, "test"); err != nil {
				t.Fatal(err)
			}
		}
		for want, paths := range map[bool]string{true: tt.out, false: tt.in} {
			for path := range strings.FieldsSeq(paths) {
				if got := excludesBelow(l, path); got != want {
					t.Errorf("%s of %s: got %v, want %v", path, tt.patterns, got, want)
				}
			}
		}
	}
}

func TestAddFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "patterns")
	for _, tt := range []struct {
		what, text, path string
		folder           bool
		why              string // "" if the path is not left out
	}{
		{"a line", "a\n", "a", false, "1: a"},
		{"no newline at the end", "a", "a", false, "1: a"},
		{"CR LF", "x\r\na\r\n", "a", false, "2: a"},
		{"CR in a line", "a\rb\n", "a\rb", false, "1: a\rb"},
		{"a byte order mark", "\ufeffa\n", "a", false, "1: a"},
		{"a byte order mark later", "\n\ufeffa\n", "a", false, ""},
		{"spaces at the end", "a  \n", "a", false, "1: a"},
		{"an escaped space at the end", `a\  ` + "\n", "a ", false, `1: a\ `},
		{"a tab at the end", "a\t\n", "a", false, ""},
		{"spaces at the start", "  a\n", "a", false, ""},
		{"a comment", "#a\n", "#a", false, ""},
		{"no comment", "\\#a\n", "#a", false, `1: \#a`},
		{"a hash later", "a#\n", "a#", false, "1: a#"},
		{"an empty file", "", "a", false, ""},
		{"empty lines", "\n\r\n  \na\n", "a", false, "4: a"},
		{"taken back in", "*\n!a\n", "a", false, ""},
		{"a folder", "a/ \n", "a", true, "1: a/"},
		{"a zero byte", "a\x00b\n", "a", false, ""},
	} {
		if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := new(exclude.List)
		if err := l.AddFile(name); err != nil {
			t.Errorf("%s: %v", tt.what, err)
		}
		why, out := l.Excludes(tt.path, tt.folder)
		if want := tt.why != ""; out != want || want && why != name+":"+tt.why {
			t.Errorf("%s: got %v, %q, want %v, %q", tt.what, out, why, want, tt.why)
		}
	}
	xtest.WantCode(t, "a missing file", new(exclude.List).AddFile(filepath.Join(dir, "none")), proto.IO)
	xtest.WantCode(t, "a folder", new(exclude.List).AddFile(dir), proto.IO)
	if err := os.WriteFile(name, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	xtest.WantCode(t, "a file that is no list", new(exclude.List).AddFile(name), proto.Usage)
}

// A pattern that would make a naive matcher try each way takes no time to speak of.
func TestHostile(t *testing.T) {
	t.Parallel()
	path := strings.Repeat(strings.Repeat("a", 39)+"/", 100) + strings.Repeat("a", 95)
	begun := time.Now()
	for _, pattern := range []string{
		strings.Repeat("*", 4096), strings.Repeat("*a", 2047) + "b", strings.Repeat("**/", 1365) + "b", strings.Repeat("**/a*", 800) + "/b",
		strings.Repeat("*/", 2047) + "b", strings.Repeat("[a-z]*", 682) + "b", strings.Repeat("**/*a*a*a/", 400) + "b", strings.Repeat("[", 4096), strings.Repeat("[[:alpha:]]*", 300) + "/b",
	} {
		l := new(exclude.List)
		if err := l.Add(pattern, "test"); err != nil {
			t.Fatal(err)
		}
		_, out := l.Excludes(path, false)
		if want := strings.Trim(pattern, "*") == ""; out != want {
			t.Errorf("%.20s…: got %v, want %v", pattern, out, want)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v, want less than 5s", took)
	}
	xtest.WantCode(t, "10^5 stars", new(exclude.List).Add(strings.Repeat("*", 100_000), "test"), proto.Usage)
}
