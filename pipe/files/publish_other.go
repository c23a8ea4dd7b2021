//go:build !linux

package files

import "os"

// startSync does nothing: there is no way to begin without waiting.
func startSync(*os.File) {}

// syncAll can't make all durable that was written where a file is.
func syncAll(*os.File) (bool, error) { return false, nil }

// rename gives a name in an open folder another name that is not there yet.
func rename(root *os.Root, _ *os.File, from, to string) error { return linkAndRemove(root, from, to) }
