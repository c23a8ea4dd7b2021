package cast

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// UTF8 decodes a stream of bytes that is cut anywhere to valid UTF-8.
type UTF8 struct {
	tail []byte // an unfinished character, at most 3 bytes
}

// Decode returns the characters that are complete with p. Each invalid byte becomes
// U+FFFD.
func (t *UTF8) Decode(p []byte) string {
	if len(t.tail) > 0 {
		p = append(t.tail, p...)
	}
	whole := len(p) - unfinished(p)
	s := toValid(p[:whole])
	t.tail = append([]byte(nil), p[whole:]...)
	return s
}

// Flush ends the stream: it returns an unfinished character as U+FFFD for each byte.
func (t *UTF8) Flush() string {
	s := toValid(t.tail)
	t.tail = nil
	return s
}

func toValid(p []byte) string {
	if utf8.Valid(p) {
		return string(p)
	}
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		b.WriteRune(r)
		p = p[n:]
	}
	return b.String()
}

// unfinished returns the length of the incomplete character at the end of p.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if b := p[len(p)-n]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// EscapeControls escapes the control characters U+0080 to U+009F in JSON text as \u00XX.
// encoding/json does not, but a terminal may interpret them as control sequences when
// somebody prints the text.
func EscapeControls(text []byte) []byte {
	const digits = "0123456789abcdef"
	var out []byte
	for {
		i := bytes.IndexByte(text, 0xc2)
		if i < 0 || i+1 == len(text) {
			break
		}
		if b := text[i+1]; b < 0xa0 {
			out = append(append(out, text[:i]...), '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		} else {
			out = append(out, text[:i+2]...)
		}
		text = text[i+2:]
	}
	if out == nil {
		return text
	}
	return append(out, text...)
}
