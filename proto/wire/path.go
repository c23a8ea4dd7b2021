package wire

import (
	"strings"
	"unicode/utf8"
)

// A name on a Unix disk is bytes, and JSON carries characters. So a byte that is
// part of no character travels as two noncharacters of U+FDD0 to U+FDEF, one for
// each half. A name that has these noncharacters itself has their bytes carried so
// too, which leaves one form for each name. An end that does not know this form
// refuses such a name alone, as one with characters that may not be written.
const (
	highHalf = '\ufdd0' // and the 15 after it
	lowHalf  = '\ufde0' // and the 15 after it
	lastHalf = lowHalf + 15
)

func isHalf(r rune) bool { return r >= highHalf && r <= lastHalf }

// encodePath returns the form of a path in JSON.
func encodePath(path string) string {
	if utf8.ValidString(path) && !strings.ContainsFunc(path, isHalf) {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); {
		r, n := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && n == 1 || isHalf(r) {
			for _, c := range []byte(path[i : i+n]) {
				b.WriteRune(highHalf + rune(c>>4))
				b.WriteRune(lowHalf + rune(c&15))
			}
		} else {
			b.WriteString(path[i : i+n])
		}
		i += n
	}
	return b.String()
}

// decodePath is the inverse of encodePath. What encodePath never returns stays as it
// is, so the caller must encode the result again and compare.
func decodePath(s string) string {
	if !strings.ContainsFunc(s, isHalf) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		high, n := utf8.DecodeRuneInString(s[i:])
		low, m := utf8.DecodeRuneInString(s[i+n:])
		if high >= highHalf && high < lowHalf && low >= lowHalf && low <= lastHalf {
			b.WriteByte(byte(high-highHalf)<<4 | byte(low-lowHalf))
			n += m
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// encodePaths returns the message with its paths in the form that they have in JSON.
func encodePaths(m Message) Message {
	switch m := m.(type) {
	case *Entry:
		if path, target := encodePath(m.Path), encodePath(m.Target); path != m.Path || target != m.Target {
			e := *m
			e.Path, e.Target = path, target
			return &e
		}
	case *Refused:
		r := *m
		r.Path = encodePath(m.Path)
		return &r
	case *Take:
		return &Take{Names: eachPath(m.Names, encodePath), List: m.List}
	case *Listed:
		l := *m
		l.Path = encodePath(m.Path)
		return &l
	case *Sum:
		s := *m
		s.Path = encodePath(m.Path)
		return &s
	}
	return m
}

// decodePaths is the inverse of encodePaths, in place.
func decodePaths(m Message) {
	switch m := m.(type) {
	case *Entry:
		m.Path, m.Target = decodePath(m.Path), decodePath(m.Target)
	case *Refused:
		m.Path = decodePath(m.Path)
	case *Take:
		m.Names = eachPath(m.Names, decodePath)
	case *Listed:
		m.Path = decodePath(m.Path)
	case *Sum:
		m.Path = decodePath(m.Path)
	}
}

// eachPath returns the paths with change made to each.
func eachPath(paths []string, change func(string) string) []string {
	if paths == nil {
		return nil
	}
	changed := make([]string, len(paths))
	for i, p := range paths {
		changed[i] = change(p)
	}
	return changed
}
