//go:build !linux

package files

import (
	"io/fs"
	"os"
)

// startSync does nothing: there is no way to begin without waiting.
func startSync(*os.File) {}

// sameDisk says that there is no way to make all of a file system durable.
func sameDisk(_, _ fs.FileInfo) bool { return false }

func syncAll(*os.File) error { return nil }

// rename gives a name in an open folder another name that is not there yet.
func rename(in *directory, from, to string) error { return linkAndRemove(in, from, to) }
