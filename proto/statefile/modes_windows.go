package statefile

import "io/fs"

// foldersSync is false: NTFS journals names, and a folder cannot be flushed.
const foldersSync = false

// othersMayWrite returns "": the mode of a file says nothing about that on Windows.
func othersMayWrite(fs.FileInfo) string { return "" }

// Stranger returns false: files have no owner that could be compared here.
func Stranger(fs.FileInfo) (owner int, ok bool) { return 0, false }
