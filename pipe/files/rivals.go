package files

import (
	"strings"
	"unicode/utf8"

	"mesh/pipe/files/disk"
)

// checkRivals fails with errCollision if the file system of a folder takes a name
// for one of its rivals, which the same delivery has stored, or for the shorter name
// that some file systems make of it. Else what is stored under one of the two names
// would replace the other, or be taken for it.
func checkRivals(in *disk.Folder, name string, rivals []string) error {
	if short := shortened(name); short != name {
		rivals = append(rivals[:len(rivals):len(rivals)], short)
	}
	if len(rivals) == 0 {
		return nil
	}
	if _, err := in.Lstat(name); err != nil {
		return nil
	}
	for _, rival := range rivals {
		if _, err := in.Lstat(rival); err == nil && in.TakesForOne(name, rival) {
			return rivalError{rival}
		}
	}
	return nil
}

// shortened returns the name that a file system of Windows makes of one with dots or
// spaces at its end, or HFS+ and ext4 of one with characters that they ignore. It is
// name itself if there is none.
func shortened(name string) string {
	short := strings.TrimRight(name, ". ")
	if utf8.ValidString(short) {
		short = dropIgnorable(short)
	}
	if short == "" {
		return name
	}
	return short
}
