package sum

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"mesh/pipe/digest"
	"mesh/proto"
)

// maxLineBytes bounds a line of a list: a digest and a path of PATH_MAX bytes,
// each of them escaped, and some to spare.
const maxLineBytes = 16 << 10

// line is one line as b3sum prints it: a name with a backslash or a newline has
// them escaped, and a backslash in front of the line says so.
func line(d digest.Digest, name string) string {
	shown, escaped := escapeName(name)
	if escaped {
		return `\` + d.String() + "  " + shown + "\n"
	}
	return d.String() + "  " + shown + "\n"
}

func escapeName(name string) (string, bool) {
	name = validName(name)
	shown := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(name)
	return shown, shown != name
}

// validName puts U+FFFD where name is not UTF-8, once for each longest part
// that could have become a character, as Rust and so b3sum does (Unicode 3.9,
// "Substitution of Maximal Subparts").
func validName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			for n < len(name) && !utf8.FullRuneInString(name[:n+1]) {
				n++
			}
			b.WriteRune(utf8.RuneError)
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// parseLine is the inverse of [line], without the newline.
func parseLine(text string) (digest.Digest, string, error) {
	rest, escaped := strings.CutPrefix(text, `\`)
	if len(rest) <= 2*digest.Size+2 {
		return digest.Digest{}, "", errors.New("line too short")
	}
	d, err := digest.Parse(rest[:2*digest.Size])
	if err != nil {
		return d, "", err
	}
	name, ok := strings.CutPrefix(rest[2*digest.Size:], "  ")
	if !ok {
		return d, "", errors.New("no two spaces after the digest")
	}
	if escaped {
		if name, err = unescapeName(name); err != nil {
			return d, "", err
		}
	}
	// U+FFFD stands for what could not be written: the name is lost.
	if strings.ContainsAny(name, "\x00\uFFFD") || !utf8.ValidString(name) {
		return d, "", errors.New("no file can have this name")
	}
	return d, name, nil
}

func unescapeName(s string) (string, error) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		switch {
		case !found:
			return b.String(), nil
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
		case strings.HasPrefix(rest, "n"):
			b.WriteByte('\n')
		default:
			return "", errors.New(`a backslash before neither \ nor n`)
		}
		s = rest[1:]
	}
}

// tally counts how a check went.
type tally struct{ total, mismatched, unreadable, malformed int }

// check checks the lists in files.
func (s *summer) check(files []string, quiet bool) error {
	var t tally
	for _, name := range files {
		if err := s.checkList(name, quiet, &t); err != nil {
			return err
		}
	}
	if t == (tally{total: t.total}) {
		return s.first
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{t.mismatched, "did not match"}, {t.unreadable, "could not be read"}, {t.malformed, "had no valid line"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return proto.Errorf(proto.CodeOf(s.first), "of %d digests, %s", t.total, strings.Join(parts, ", "))
}

// checkList checks one list. It only returns the errors that end the run.
func (s *summer) checkList(list string, quiet bool, t *tally) error {
	in := s.in
	if list != stdinName {
		f, err := os.Open(list)
		if err != nil {
			return proto.IOError(err)
		}
		defer f.Close() // only read
		in = f
	}
	r := bufio.NewReaderSize(in, maxLineBytes)
	n := 0
	for {
		text, err := r.ReadSlice('\n')
		if err == io.EOF && len(text) == 0 {
			break
		}
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return proto.IOError(err)
		}
		n++
		t.total++
		if errors.Is(err, bufio.ErrBufferFull) {
			return proto.Errorf(proto.Protocol, "%s:%d: line longer than %d bytes", list, n, maxLineBytes)
		}
		d, name, err := parseLine(strings.TrimSuffix(string(text), "\n"))
		if err != nil {
			t.malformed++
			err = proto.Errorf(proto.Protocol, "%s:%d: %w", list, n, err)
			s.complain(err)
			s.fail(err)
			continue
		}
		if err := s.checkFile(d, name, quiet, t); err != nil {
			return err
		}
	}
	if n == 0 { // a list that was cut to nothing must not pass
		return proto.Errorf(proto.Protocol, "%s: no digests in it", list)
	}
	return nil
}

// checkFile prints how one file compares.
func (s *summer) checkFile(want digest.Digest, name string, quiet bool, t *tally) error {
	verdict := "OK"
	got, err := s.digest(name)
	switch {
	case err != nil:
		t.unreadable++
		s.fail(err)
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		verdict = fmt.Sprintf("FAILED (%v)", err)
	case got != want:
		t.mismatched++
		s.fail(proto.Errorf(proto.Integrity, "%s: digest mismatch", name))
		verdict = "FAILED"
	case quiet:
		return nil
	}
	shown, escaped := escapeName(name)
	if escaped {
		shown = `\` + shown
	}
	return s.print(shown + ": " + verdict + "\n")
}
