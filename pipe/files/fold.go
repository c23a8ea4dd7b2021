package files

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fold returns the same text for two names that some system takes for one: names
// that differ only in case, or in how Unicode composes them.
func fold(name string) string {
	if isASCII(name) {
		return strings.ToLower(name)
	}
	return norm.NFC.String(cases.Fold().String(norm.NFD.String(name)))
}

// compareASCII compares two ASCII names by their folds, and then as they are.
func compareASCII(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Compare(lower(a[i]), lower(b[i])); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b))
}

// comparePaths orders paths as entries are sent: a folder before what is in it, and
// the names in each folder by their folds, and then as they are.
func comparePaths(a, b string) int {
	for {
		x, restA, inA := strings.Cut(a, "/")
		y, restB, inB := strings.Cut(b, "/")
		switch {
		case x != y:
			return cmp.Or(strings.Compare(fold(x), fold(y)), strings.Compare(x, y))
		case !inA || !inB:
			return cmp.Compare(len(a), len(b))
		}
		a, b = restA, restB
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
