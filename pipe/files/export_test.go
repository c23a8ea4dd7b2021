package files

import (
	"fmt"

	"mesh/pipe/files/disk"
)

// WordsOf is wordsOf.
var WordsOf = wordsOf

// Taken is the error of a name that the file system takes for that of another file.
func Taken(other string) error { return takenError{other} }

// HoleBytes is [disk.HoleBytes].
var HoleBytes = disk.HoleBytes

// ListArchiveTwice returns the paths in an archive as a finder finds them, and as the one
// that counts does, for which the archive is not opened again: between is called first.
func ListArchiveTwice(name string, between func()) (first, again []string, err error) {
	a, err := openArchive(name, SendOptions{})
	if err != nil {
		return nil, nil, err
	}
	second := a.again()
	between()
	for _, l := range []struct {
		a    *archiveReader
		list *[]string
	}{{a, &first}, {second, &again}} {
		for it := l.a.next(); it != nil; it = l.a.next() {
			*l.list = append(*l.list, fmt.Sprint(it.path, " ", it.kind, " ", it.size, " ", it.err))
		}
		l.a.close()
	}
	return first, again, nil
}
