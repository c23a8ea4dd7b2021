package statefile

import "io/fs"

// foldersSync is false: NTFS journals names, and a folder cannot be flushed.
const foldersSync = false

// othersMayWrite returns "": the mode of a file says nothing about that on Windows.
func othersMayWrite(fs.FileInfo) string { return "" }
