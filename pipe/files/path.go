package files

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// CheckPath refuses a path that a peer must not name, with code [proto.Unsafe].
// A path is relative, and its components are joined by single slashes. Each must
// pass checkName, and the first must not begin with a dot or a dash; those below a
// folder may. With portable, every system must be able to store it. A bad path is
// refused, never repaired.
func CheckPath(path string, portable bool) error {
	why := ""
	switch {
	case path == "":
		why = "it is empty"
	case len(path) > proto.MaxPathBytes:
		why = fmt.Sprintf("it is longer than %d bytes", proto.MaxPathBytes)
	case strings.Count(path, "/") >= proto.MaxDepth:
		why = fmt.Sprintf("it has more than %d components", proto.MaxDepth)
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

// CheckTarget fails unless name is a single component of a path, under which a user
// may store a file.
func CheckTarget(name string) error {
	if name == "." || name == ".." || name != filepath.Base(name) {
		return fmt.Errorf("%q is not the name of a file", name)
	}
	return nil
}

// checkLinkTarget refuses a symbolic link that may lead out of the folder that is
// sent. Its target may go up first, as far as that folder, and then only down. at is
// the path of the link.
func checkLinkTarget(at, target string) error {
	bad := func(why string) error {
		return proto.Errorf(proto.Unsafe, "a link to %s is not allowed: %s", proto.QuoteText(target), why)
	}
	switch {
	case target == "":
		return bad("it leads nowhere")
	case path.IsAbs(target):
		return bad("it is not relative")
	case len(target) > proto.MaxPathBytes:
		return bad(fmt.Sprintf("it is longer than %d bytes", proto.MaxPathBytes))
	}
	up, down := strings.Count(at, "/"), false
	if up == 0 {
		return bad("it is in no folder that is sent")
	}
	for name := range strings.SplitSeq(target, "/") {
		if name == ".." {
			up--
			if down || up < 1 {
				return bad("it may lead out of the folder")
			}
			continue
		}
		down = true
		if name == "." {
			continue
		}
		if why := checkName(name); why != "" {
			return bad(why)
		}
	}
	return nil
}

// checkName says what is wrong with one component of a path, "" if nothing is.
func checkName(name string) string {
	switch {
	case name == "":
		return "it has an empty component"
	case name == "." || name == "..":
		return `. and .. lead elsewhere`
	case len(name) > proto.MaxNameBytes:
		return fmt.Sprintf("a component is longer than %d bytes", proto.MaxNameBytes)
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.HasPrefix(fold(name), disk.TempPrefix):
		return "names like " + disk.TempPrefix + "… are for temporary files"
	}
	for _, r := range name {
		if r == '\\' || isHidden(r) {
			return "it has a backslash or an invisible character"
		}
	}
	return ""
}

// isHidden reports whether r is a control, format or line-breaking character, or
// no character at all. Format characters include those that turn the direction of
// text. The two joiners that some scripts need are allowed.
func isHidden(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case r == '\u200c' || r == '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
}

// windowsReserved are the characters that no name has on Windows, in addition to
// those that no name has anywhere.
const windowsReserved = `<>:"|?*`

// reserved are names that stand for a device in every folder of Windows, whatever
// follows them after a dot.
var reserved = []string{"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}

// checkPortable says why some system cannot store a name, "" if all can.
func checkPortable(name string) string {
	if strings.ContainsAny(name, windowsReserved) {
		return "on Windows a name has none of " + windowsReserved
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return "on Windows a name does not end in a dot or a space"
	}
	base, _, _ := strings.Cut(fold(name), ".")
	base = strings.TrimRight(base, " ")
	if slices.Contains(reserved, base) {
		return "on Windows it is the name of a device"
	}
	if rest, ok := strings.CutPrefix(base, "com"); ok && isPort(rest) {
		return "on Windows it is the name of a device"
	}
	if rest, ok := strings.CutPrefix(base, "lpt"); ok && isPort(rest) {
		return "on Windows it is the name of a device"
	}
	return ""
}

// isPort reports whether s is a digit, a superscript one included.
func isPort(s string) bool {
	return len(s) == 1 && s[0] >= '0' && s[0] <= '9' || s == "¹" || s == "²" || s == "³"
}
