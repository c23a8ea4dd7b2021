//go:build !unix

package cmdline

import "os"

var writeSignals []os.Signal

// seemsClosed reports false: the runtime opens nothing in the place of a closed stream.
func seemsClosed(*os.File) bool { return false }

// inherited returns nil: descriptors are not inherited by number here.
func inherited(int) *os.File { return nil }
