//go:build !unix

package cmdline

import "os"

var writeSignals []os.Signal

// inherited returns nil: descriptors are not inherited by number here.
func inherited(int) *os.File { return nil }
