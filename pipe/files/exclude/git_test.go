package exclude_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mesh/pipe/files/exclude"
)

// gitPatterns and gitPaths are compared, each with each. A path that ends in a slash is a
// folder. Stars beside other characters behind a slash, as in a/x**, are not here: git
// takes them for "**" where the characters before them have no wildcard, against its
// manual.
var gitPatterns = []string{
	"a", "/a", "a/", "/a/", "a/b", "/a/b", "a/*", "a/**", "a/**/b", "**/b", "**/a/b", "**", "*", "/*", "/**", "**/", "*/", "*/b", "*/*",
	"*.o", "/*.o", "a/*.o", "**/*.o", "a/**/*.o", "x/**", "x/**/y/**", "**/x/**/y", "?", "??", "a?", "?/b", "a?b",
	"[ab]", "[!a]", "[^a]", "[!ab]*", "[a-c]", "[]]", "[!]]", "[]a-]", "[a-", "[", "[a", "a[", "[a/b]", "a[/]b", "[[:alpha:]]", "[[:digit:]]*", "[[:foo:]]",
	"[![:alpha:]]*", "[[:alpha:]", "[\\]]", "[a\\-c]", "[c-a]", "[--0]",
	"\\a", "\\*", "a\\", "\\!x", "!x", "\\#", "#", "*a*b*", "*a*a*a*", "***", "a***", "a***b", "***/b", "a/***/b", "a**b", "**a", "b**",
	"{a,b}", "a.b", ".*", "*.", "/", "//", "a//b", "é", "?é", "??é", "[é]*", "*é", "foo*", "*foo", "*foo*bar", "a/b/", "*/b/", "**/b/", "/**/b", "a/?", "a/[b]",
}

// gitPaths are entries of a tree; those that end in a slash are folders.
var gitPaths = []string{
	"a/", "b", "x/", "a/b/", "x/a/", "x/a/b", "x/y/", "x/y/a/b", "x/b/", "a/x/b", "a/x/y/b", "a/b/c", "x/y/z/", "x/q/y/z", "y/x/q/y", "y/a", "y/b",
	"f.o", "a/f.o", "a/x/f.o", "aa", "ab/", "a.b", "aab", "axxb", "*", "[", "]", "-", "!x", "#", "{a,b}", ".x", "1x", "é", "aé", "a\\", "foobar", "xfoo", "foo/bar", "Q", "_", "0", "a/b.o",
}

// TestGit compares each pattern and each path with git check-ignore.
func TestGit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no git here, or a file system that does not take each name as it is")
	}
	dir := t.TempDir()
	for _, path := range gitPaths {
		full := filepath.Join(dir, path)
		folder := strings.HasSuffix(path, "/")
		if !folder {
			full = filepath.Dir(full)
		}
		if err := os.MkdirAll(full, 0o700); err != nil {
			t.Fatal(err)
		}
		if !folder {
			if err := os.WriteFile(filepath.Join(dir, path), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	git := func(in string, args ...string) []byte {
		c := exec.CommandContext(t.Context(), "git", append([]string{"-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false"}, args...)...)
		c.Dir, c.Stdin = dir, strings.NewReader(in)
		c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+dir, "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := c.Output()
		if e, ok := err.(*exec.ExitError); ok && e.ExitCode() == 1 {
			err = nil // none is ignored
		}
		if err != nil {
			t.Fatalf("git %s: %v", strings.Join(args, " "), err)
		}
		return out
	}
	git("", "init", "-q")
	asked := strings.ReplaceAll(strings.Join(gitPaths, "\x00"), "/\x00", "\x00") + "\x00"
	compared, ignored := 0, 0
	for i, pattern := range gitPatterns {
		lists := [][]string{{pattern}}
		if i%8 == 0 {
			lists = append(lists, []string{pattern, "!a", "!*.o"}, []string{"*", "!x/", pattern})
		}
		for _, lines := range lists {
			file := filepath.Join(dir, ".git", "info", "exclude")
			text := strings.Join(escapeComments(lines), "\n") + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			list := new(exclude.List)
			for _, line := range lines {
				if err := list.Add(line, "test"); err != nil {
					t.Fatal(err)
				}
			}
			out := git(asked, "check-ignore", "--no-index", "-z", "--stdin")
			for _, path := range gitPaths {
				want := slices.ContainsFunc(bytes.Split(out, []byte{0}), func(b []byte) bool { return string(b) == strings.TrimSuffix(path, "/") })
				got := excludesBelow(list, path)
				if compared++; want {
					ignored++
				}
				if got != want {
					t.Errorf("%q of %q: got %v, and git says %v", path, lines, got, want)
				}
			}
		}
	}
	if compared < 1350 || ignored < 500 {
		t.Errorf("got %d pairs of which git ignores %d, want at least 1350 and 500", compared, ignored)
	}
}

// escapeComments makes lines of a file of patterns.
func escapeComments(lines []string) (escaped []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "#") {
			line = `\` + line
		}
		escaped = append(escaped, line)
	}
	return escaped
}

// excludesBelow asks for each folder on the way to a path, as a walk does.
func excludesBelow(l *exclude.List, path string) bool {
	path, folder := strings.CutSuffix(path, "/")
	for i := range path {
		if path[i] == '/' {
			if _, out := l.Excludes(path[:i], true); out {
				return true
			}
		}
	}
	_, out := l.Excludes(path, folder)
	return out
}

func ExampleList_Excludes() {
	var l exclude.List
	for _, p := range []string{"*.log", "!keep.log"} {
		_ = l.Add(p, "--exclude") // short patterns are never refused
	}
	fmt.Println(l.Excludes("logs/a.log", false))
	fmt.Println(l.Excludes("logs/keep.log", false))
	// Output:
	// --exclude: *.log true
	// --exclude: !keep.log false
}
