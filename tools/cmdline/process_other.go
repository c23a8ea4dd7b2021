//go:build !unix

package cmdline

import "os"

var writeSignals []os.Signal

// inherited always fails: descriptors are not inherited by number here.
func inherited(int) *os.File { return nil }
