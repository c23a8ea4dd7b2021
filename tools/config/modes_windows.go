package config

import "io/fs"

// othersMayWrite returns "": the mode of a file says nothing about that on Windows.
func othersMayWrite(fs.FileInfo) string { return "" }
