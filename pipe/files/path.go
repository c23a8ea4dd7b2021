package files

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"mesh/proto"
)

// tempPrefix begins the names of all that is not finished. No peer may name
// anything like it.
const tempPrefix = ".mesh-"

// CheckPath refuses a path that a peer must not name here, with code
// [proto.Unsafe]: it is relative, its components are joined by single slashes
// and are names as checkName has them, and the first begins with neither dot nor dash, which a folder that
// is sent may have in it. What is wrong is refused, never repaired. With portable, it must also be one that
// every system can store.
func CheckPath(path string, portable bool) error {
	why := ""
	switch {
	case path == "":
		why = "it is empty"
	case len(path) > proto.MaxPathBytes:
		why = "it is too long"
	case strings.Count(path, "/") >= proto.MaxDepth:
		why = "it is too deep"
	case path[0] == '.' || path[0] == '-':
		why = "it begins with a dot or a dash"
	}
	for name := range strings.SplitSeq(path, "/") {
		if why == "" {
			why = checkName(name)
		}
		if why == "" && portable {
			why = checkPortable(name)
		}
	}
	if why == "" {
		return nil
	}
	return proto.Errorf(proto.Unsafe, "the name %s may not be written: %s", proto.QuoteText(path), why)
}

// checkName says what is wrong with one component of a path.
func checkName(name string) string {
	switch {
	case name == "":
		return "it has an empty component"
	case name == "." || name == "..":
		return "it leads elsewhere"
	case len(name) > proto.MaxNameBytes:
		return "a component is too long"
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.HasPrefix(fold(name), tempPrefix):
		return "mesh uses such names itself"
	}
	for _, r := range name {
		if r == '\\' || isHidden(r) {
			return "it has a character that no name may have"
		}
	}
	return ""
}

// isHidden reports whether r is no visible character: control, format (which
// includes all that turns the direction of text) and line-breaking ones. The
// two joiners that some scripts need are not hidden.
func isHidden(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case r == '\u200c' || r == '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
}

// reserved are the names of devices in every folder of Windows, without what
// follows a dot.
var reserved = []string{"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}

// checkPortable says why some system can't store a name.
func checkPortable(name string) string {
	if strings.ContainsAny(name, `<>:"|?*`) {
		return "Windows has no such characters in names"
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return "Windows has no names that end so"
	}
	base, _, _ := strings.Cut(fold(name), ".")
	base = strings.TrimRight(base, " ")
	if slices.Contains(reserved, base) {
		return "Windows has a device of that name"
	}
	if rest, ok := strings.CutPrefix(base, "com"); ok && isPort(rest) {
		return "Windows has a device of that name"
	}
	if rest, ok := strings.CutPrefix(base, "lpt"); ok && isPort(rest) {
		return "Windows has a device of that name"
	}
	return ""
}

// isPort reports whether s is a digit, a superscript one included.
func isPort(s string) bool {
	return len(s) == 1 && s[0] >= '0' && s[0] <= '9' || s == "¹" || s == "²" || s == "³"
}

// fold returns what two names have in common that some system takes for one:
// those that differ in case, or in how Unicode composes them.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(norm.NFD.String(name)))
		}
	}
	return strings.ToLower(name)
}
