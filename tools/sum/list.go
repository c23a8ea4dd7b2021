package sum

import (
	"errors"
	"strings"
	"unicode/utf8"

	"mesh/pipe/digest"
)

// maxLineBytes limits a line of a list. It has room for a digest and a path of
// PATH_MAX bytes, each of them escaped.
const maxLineBytes = 16 << 10

// line returns one line as b3sum prints it. A backslash or a newline in the name is
// escaped, and then the line begins with a backslash.
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

// validName replaces what is not UTF-8 in name by U+FFFD, each longest prefix of a
// character by one (Unicode 3.9, "Substitution of Maximal Subparts"). Rust does so,
// and therefore b3sum.
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
	// b3sum wrote U+FFFD for bytes that are not UTF-8, so the name is lost.
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
			return "", errors.New(`a backslash is followed by neither \ nor n`)
		}
		s = rest[1:]
	}
}
