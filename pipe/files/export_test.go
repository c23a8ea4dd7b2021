package files

import "mesh/pipe/files/disk"

// WordsOf is wordsOf.
var WordsOf = wordsOf

// Taken is the error of a name that the file system takes for that of another file.
func Taken(other string) error { return takenError{other} }

// HoleBytes is [disk.HoleBytes].
var HoleBytes = disk.HoleBytes
