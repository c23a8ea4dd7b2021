package exclude

import "strings"

type tokenKind byte

const (
	literal tokenKind = iota // one byte
	class                    // a byte of a set: "?" or "[...]"
	star                     // any bytes
	stars                    // two or more stars
)

// token is one element of a pattern. A class never contains the slash.
type token struct {
	kind tokenKind
	char byte
	set  *set
}

func (t token) isSlash() bool { return t.kind == literal && t.char == '/' }

func (t token) isStar() bool { return t.kind == star || t.kind == stars }

func (t token) matches(c byte) bool {
	if t.kind == class {
		return t.set[c]
	}
	return t.char == c
}

// set is the bytes of a class.
type set [256]bool

var anyByte = func() (s set) {
	for c := range s {
		s[c] = true
	}
	return s
}()

// scan divides a pattern into tokens. ok is false for one that git takes for malformed: it
// matches nothing.
func scan(text string) (tokens []token, ok bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '*':
			first := i
			for i+1 < len(text) && text[i+1] == '*' {
				i++
			}
			t := token{kind: star}
			if i > first {
				t.kind = stars
			}
			tokens = append(tokens, t)
		case '?':
			tokens = append(tokens, token{kind: class, set: &anyByte})
		case '[':
			s, n := scanClass(text[i:])
			if n == 0 {
				return nil, false
			}
			tokens = append(tokens, token{kind: class, set: s})
			i += n - 1
		case '\\':
			if i++; i == len(text) {
				return nil, false
			}
			fallthrough
		default:
			tokens = append(tokens, token{char: text[i]})
		}
	}
	return tokens, true
}

// scanClass returns the set of a class at the start of text, and the length of its text; 0
// for one that is malformed.
func scanClass(text string) (s *set, n int) {
	s = new(set)
	i := 1
	negated := i < len(text) && (text[i] == '!' || text[i] == '^')
	if negated {
		i++
	}
	for first, low := true, -1; ; first = false { // low may begin a range
		if i >= len(text) {
			return nil, 0
		}
		c := text[i]
		if c == ']' && !first {
			break
		}
		switch name, length := className(text[i:]); {
		case length > 0:
			members, known := classes[name]
			if !known {
				return nil, 0
			}
			s.add(members)
			i, low = i+length, -1
			continue
		case c == '-' && low >= 0 && i+1 < len(text) && text[i+1] != ']':
			i++
			if text[i] == '\\' {
				i++
			}
			if i >= len(text) {
				return nil, 0
			}
			for c := low; c <= int(text[i]); c++ {
				s[c] = true
			}
			i, low = i+1, -1
			continue
		case c == '\\':
			if i++; i >= len(text) {
				return nil, 0
			}
		}
		s[text[i]], low = true, int(text[i])
		i++
	}
	if negated {
		for c := range s {
			s[c] = !s[c]
		}
	}
	return s, i + 1
}

// className returns alpha for a text that begins with [:alpha:], and the length of that; 0
// for any other text.
func className(text string) (name string, length int) {
	rest, found := strings.CutPrefix(text, "[:")
	if !found {
		return "", 0
	}
	end := strings.IndexByte(rest, ']')
	if end < 1 || rest[end-1] != ':' {
		return "", 0
	}
	return rest[:end-1], len("[:") + end + 1
}

// add adds the bytes of ASCII for which members is true.
func (s *set) add(members func(c byte) bool) {
	for c := range byte(128) {
		if members(c) {
			s[c] = true
		}
	}
}

// classes are the classes of POSIX, in ASCII alone. As in git, neither a vertical tab nor
// a form feed is a space.
var classes = map[string]func(c byte) bool{
	"alnum":  func(c byte) bool { return isAlpha(c) || isDigit(c) },
	"alpha":  isAlpha,
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"digit":  isDigit,
	"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
	"lower":  func(c byte) bool { return 'a' <= c && c <= 'z' },
	"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
	"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !isAlpha(c) && !isDigit(c) },
	"space":  func(c byte) bool { return strings.IndexByte(" \t\n\r", c) >= 0 },
	"upper":  func(c byte) bool { return 'A' <= c && c <= 'Z' },
	"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
