package disk

import (
	"crypto/rand"
	"io/fs"
	"os"
	"strings"
)

// maxNameBytes is the longest name of a file on the systems that we know.
const maxNameBytes = 255

// TakesForOne reports whether the file system of the folder takes two names for one.
// Both must exist in the folder. It compares the numbers of the files, and where these
// say nothing, it tries it with an empty temporary file.
func (f *Folder) TakesForOne(a, b string) bool {
	if !f.hasVagueNumbers() {
		return f.isOneFile(a, b)
	}
	prefix, suffix := TempPrefix+rand.Text()[:8]+"-", tempSuffix
	if isTrimmed(a) || isTrimmed(b) {
		suffix = "" // behind it, dots and spaces would not be at the end
	}
	if max(len(a), len(b))+len(prefix)+len(suffix) > maxNameBytes {
		return f.isOneFile(a, b)
	}
	probe, err := f.CreateTemp(prefix+a+suffix, 0o600)
	if err != nil {
		return f.isOneFile(a, b)
	}
	defer func() { _ = probe.Remove() }()
	_, err = f.root.Lstat(prefix + b + suffix)
	return err == nil
}

// isTrimmed reports whether file systems of Windows drop the end of a name.
func isTrimmed(name string) bool { return strings.TrimRight(name, ". ") != name }

// isOneFile reports whether two names lead to one file, and not by a hard link.
func (f *Folder) isOneFile(a, b string) bool {
	one, err := f.root.Lstat(a)
	if err != nil {
		return false
	}
	other, err := f.root.Lstat(b)
	return err == nil && os.SameFile(one, other) && (one.IsDir() || !hasHardLinks(one))
}

// hasHardLinks reports whether a regular file has more than one name, as far as that
// is known.
func hasHardLinks(info fs.FileInfo) bool { return info.Mode().IsRegular() && linkCount(info) > 1 }
