package cast

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// UTF8 makes valid UTF-8 of a stream of bytes that is cut anywhere.
type UTF8 struct {
	tail    []byte // an unfinished character, at most 3 bytes
	invalid int64
}

// Take returns the characters that p completes. Bytes that are no UTF-8 become
// U+FFFD.
func (t *UTF8) Take(p []byte) string {
	if len(t.tail) > 0 {
		p = append(t.tail, p...)
	}
	whole := len(p) - unfinished(p)
	s := t.valid(p[:whole])
	t.tail = append([]byte(nil), p[whole:]...)
	return s
}

// End returns what the stream's end makes of an unfinished character.
func (t *UTF8) End() string {
	s := t.valid(t.tail)
	t.tail = nil
	return s
}

func (t *UTF8) valid(p []byte) string {
	if utf8.Valid(p) {
		return string(p)
	}
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			t.invalid++
		}
		b.WriteRune(r)
		p = p[n:]
	}
	return b.String()
}

// unfinished is how many bytes at p's end begin a character that p ends within.
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

// EscapeControls writes the control characters U+0080 to U+009F that are in JSON,
// which encoding/json leaves as they are, as \u and their number: a terminal may
// take them for sequences when a person looks at the text.
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
