//go:build unix

package files_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// The sender learns the receiver's own reason for each entry that is not stored, if it
// takes reasons.
func TestReasons(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	for _, name := range []string{"tree/file", "tree/sub/x", "tree/new\nline", "tree/z/small"} {
		write(t, filepath.Join(source, name), []byte(name))
	}
	write(t, filepath.Join(source, "tree/z/large"), bigData)
	if err := os.Symlink("new\nline", filepath.Join(source, "tree/link")); err != nil {
		t.Fatal(err)
	}
	deceptive := "a control character, or one that breaks lines or turns the direction of text"
	words := []string{
		`tree/file: unsafe: the peer does not store it (unsafe): the name is already taken`,
		`tree/link: unsafe: the peer does not store it (unsafe): the link is not allowed: it has ` + deceptive,
		`tree/new\x0aline: unsafe: the peer does not store it (unsafe): its name deceives: the name "tree/new\x0aline" may not be written: it has ` + deceptive,
		`tree/sub: unsafe: the peer does not store it (unsafe): the name is already taken`,
		`tree/sub/x: unsafe: the peer does not store it (unsafe): its folder is not stored`,
		`tree/z/large: unsafe: the peer does not store it (unsafe): the name is already taken`,
	}
	slices.Sort(words)
	guesses := slices.Clone(words)
	for i, line := range guesses {
		if !strings.Contains(line, "deceives") {
			guesses[i] = line[:strings.Index(line, "(unsafe): ")] + "(unsafe): its name is taken there, or may not be written"
		}
	}
	for reasons, want := range map[bool][]string{true: words, false: guesses} {
		to := t.TempDir()
		for _, name := range []string{"tree/file", "tree/sub", "tree/z/large"} {
			write(t, filepath.Join(to, name), []byte("other"))
		}
		r := run{recv: files.ReceiveOptions{Minor1: reasons}}
		r.transfer(t, to, filepath.Join(source, "tree"))
		r.wantCodes(t, proto.Unsafe, proto.Unsafe)
		slices.Sort(r.sendLines)
		if got := strings.Join(r.sendLines, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("reasons %t: got\n%s\nwant\n%s", reasons, got, strings.Join(want, "\n"))
		}
	}
}

// A reason has the system's words for a fault, or words of this package, and no name that
// only the receiver knows.
func TestReasonsTellNoNames(t *testing.T) {
	t.Parallel()
	secret := "/home/bob/secret"
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: secret, Err: syscall.EACCES}, syscall.EACCES.Error()},
		{proto.IOError(fmt.Errorf("store in %s: %w", secret, &os.LinkError{Op: "link", Old: secret, New: secret, Err: syscall.ENOSPC})), syscall.ENOSPC.Error()},
		{&fs.PathError{Op: "open", Path: secret, Err: syscall.Errno(4095)}, syscall.Errno(4095).Error()},
		{fmt.Errorf("%s: %w", secret, files.ErrIsThere), "the name is already taken"},
		{files.Taken(secret), "the file system takes its name for another one, which is there"},
		{files.CheckPath("a/../b", files.UsualNames), "the name may not be written: . and .. lead elsewhere"},
		{proto.Errorf(proto.Unsafe, "%s is not a regular file", secret), ""},
		{errors.New(secret), ""},
	} {
		if got := files.WordsOf(c.err); got != c.want || len(got) > proto.MaxWhyBytes || !utf8.ValidString(got) {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

// The reason of a hostile receiver is shown escaped, whichever frame has it.
func TestHostileReason(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a")
	write(t, file, []byte("x"))
	why := "\x1b]52;c;eA==\a\n\u202e" + strings.Repeat("!", proto.MaxWhyBytes-20)
	stored := &wire.Stored{Refused: 1, Code: proto.IO}
	for name, tt := range map[string]struct {
		answer wire.Answer
		last   []wire.Message
	}{
		"answer":  {wire.Answer{ID: 1, Code: proto.IO, Why: why}, []wire.Message{stored}},
		"refused": {wire.Answer{ID: 1}, []wire.Message{&wire.Refused{Path: "a", Code: proto.IO, Why: why}, stored}},
	} {
		said := ""
		o := files.SendOptions{Report: func(path string, err error) { said += path + ": " + err.Error() }}
		_, err := sendWith(t, o, []string{file}, func(*wire.Entry) *wire.Answer { return &tt.answer }, tt.last...)
		if code := proto.CodeOf(err); code != proto.IO {
			t.Errorf("%s: got %v (%v), want %v", name, code, err, proto.IO)
		}
		if want := "a: the peer does not store it (io): " + proto.EscapeText(why); said != want {
			t.Errorf("%s: got %q, want %q", name, said, want)
		}
	}
}
