package proto

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTextBytes bounds a text of a peer that is shown to a person, before escaping.
const MaxTextBytes = 512

// EscapeText makes text from a peer safe to print. The result is one line.
// Control, format (bidi) and invalid characters appear as \xNN or \u{N}, and
// "…" replaces what is longer than [MaxTextBytes]. All text of a peer must pass
// through it before it is printed.
func EscapeText(s string) string {
	cut := len(s) > MaxTextBytes
	if cut {
		s = s[:MaxTextBytes]
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteString(hexByte(s[i]))
		case r == '\\':
			b.WriteString(`\\`)
		case r < 0x80 && unicode.IsControl(r):
			b.WriteString(`\x`)
			b.WriteString(hexByte(byte(r)))
		case !unicode.IsPrint(r):
			b.WriteString(`\u{`)
			b.WriteString(hexRune(r))
			b.WriteString(`}`)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// QuoteText is [EscapeText] in quotation marks, for text within a sentence. (The
// verb %q would escape the backslashes of EscapeText once more.)
func QuoteText(s string) string {
	return `"` + strings.ReplaceAll(EscapeText(s), `"`, `\"`) + `"`
}

// OneLine escapes in a message of this process what would break its line or control a
// terminal: names of files may contain it. Text from a peer is escaped where it is
// received, by [EscapeText].
func OneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

func hexByte(c byte) string { return string([]byte{hexDigits[c>>4], hexDigits[c&15]}) }

func hexRune(r rune) string {
	var out []byte
	for shift := 20; shift >= 0; shift -= 4 {
		if d := r >> shift & 15; d != 0 || len(out) > 0 || shift == 0 {
			out = append(out, hexDigits[d])
		}
	}
	return string(out)
}
