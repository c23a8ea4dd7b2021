package files

import (
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// Names says which names a receiver accepts.
type Names int

const (
	// UsualNames refuses what may deceive a terminal or its reader, and accepts all else
	// that a Unix system can store. The file system has the last word.
	UsualNames Names = iota
	// AnyNames refuses only what leads elsewhere or is no name.
	AnyNames
	// PortableNames refuses what some system cannot store under exactly this name. On
	// Windows all names must be portable.
	PortableNames
)

// isStrict reports whether names must be ones that every system can store.
func (n Names) isStrict() bool { return n == PortableNames || runtime.GOOS == "windows" }

// CheckPath refuses a path that a peer must not name, with code [proto.Unsafe].
// A path is relative, and its components are joined by single slashes. Each must
// pass checkName, and the first must not begin with a dot or a dash; those below a
// folder may. A bad path is refused, never repaired.
func CheckPath(path string, names Names) error {
	why := ""
	switch visible := dropIgnorable(path); {
	case path == "":
		why = "it is empty"
	case len(path) > proto.MaxPathBytes:
		why = fmt.Sprintf("it is longer than %d bytes", proto.MaxPathBytes)
	case strings.Count(path, "/") >= proto.MaxDepth:
		why = fmt.Sprintf("it has more than %d components", proto.MaxDepth)
	case strings.HasPrefix(visible, ".") || strings.HasPrefix(visible, "-"):
		why = "it begins with a dot or a dash"
	}
	for name := range strings.SplitSeq(path, "/") {
		if why == "" {
			why = checkName(name, names)
		}
	}
	if why == "" {
		return nil
	}
	return nameError{
		"the name " + proto.QuoteText(path) + " may not be written: " + why,
		"the name may not be written: " + why,
	}
}

// CheckPipeName refuses a name for a pipe that a peer must not give, with code
// [proto.Unsafe]: see [CheckPath]. It has one component.
func CheckPipeName(name string, o ReceiveOptions) error {
	if err := CheckPath(name, o.names()); err != nil {
		return err
	}
	if CheckTarget(name) != nil {
		return nameError{"the name " + proto.QuoteText(name) + " may not be written: it is a path", "the name may not be written: it is a path"}
	}
	return nil
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
func checkLinkTarget(at, target string, names Names) error {
	bad := func(why string) error {
		return nameError{
			"a link to " + proto.QuoteText(target) + " is not allowed: " + why,
			"the link is not allowed: " + why,
		}
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
		if why := checkName(name, names); why != "" {
			return bad(why)
		}
	}
	return nil
}

// checkName says what is wrong with one component of a path, "" if nothing is.
func checkName(name string, names Names) string {
	switch {
	case name == "":
		return "it has an empty component"
	case name == "." || name == "..":
		return `. and .. lead elsewhere`
	case len(name) > proto.MaxNameBytes:
		return fmt.Sprintf("a component is longer than %d bytes", proto.MaxNameBytes)
	case strings.Contains(name, "\x00"):
		return "it has a zero byte"
	case strings.HasPrefix(fold(dropIgnorable(name)), disk.TempPrefix):
		return "names like " + disk.TempPrefix + "… are for temporary files"
	case names != AnyNames && strings.ContainsFunc(name, isDeceptive):
		return "it has a control character, or one that breaks lines or turns the direction of text"
	case names.isStrict():
		return checkPortable(name)
	}
	return ""
}

// isDeceptive reports whether r controls a terminal, ends a line, overrides or
// isolates the direction of the text around it, or is a tag: hidden text.
func isDeceptive(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case r <= 0x9f, r == '\u2028', r == '\u2029':
		return true
	}
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r >= 0xe0000 && r <= 0xe007f
}

// dropIgnorable returns text without the characters that some file systems ignore in
// names: HFS+, and ext4 in folders that ignore case. To them ".", joiner, "git" is
// ".git".
func dropIgnorable(text string) string {
	if isASCII(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return r
	}, text)
}

// isInvisible reports whether r is a control, format or line-breaking character, or
// no character at all. Marks that turn the direction of text are format characters.
// The two joiners that some scripts need do not count.
func isInvisible(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case isJoiner(r):
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
}

func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// windowsReserved are the characters that no name has on Windows, in addition to
// those that no name has anywhere.
const windowsReserved = `<>:"|?*`

// reserved are names that stand for a device in every folder of Windows, whatever
// follows them after a dot.
var reserved = []string{"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}

// checkPortable says why some system cannot store a name under exactly this name, ""
// if all can.
func checkPortable(name string) string {
	visible := dropIgnorable(name)
	switch {
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return r == '\\' || isInvisible(r) }):
		return "it has a backslash or an invisible character"
	case visible == "" || visible == "." || visible == "..",
		strings.Contains(name, "\u200c.") || strings.Contains(name, "\u200d."):
		return "on macOS a joiner in front of a dot, or a name of joiners and dots, is another name"
	case strings.ContainsAny(name, windowsReserved):
		return "on Windows a name has none of " + windowsReserved
	case strings.HasSuffix(visible, ".") || strings.HasSuffix(visible, " "):
		return "on Windows a name does not end in a dot or a space"
	}
	base, _, _ := strings.Cut(fold(visible), ".")
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
