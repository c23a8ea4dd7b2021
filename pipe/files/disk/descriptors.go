package disk

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"mesh/proto"
)

// MinOpen is the smallest limit of open files with which folders of any depth can be sent
// and received, if the process inherits no files but the standard ones.
const MinOpen = 20

// CheckDescriptors fails if the process cannot open n files more.
func CheckDescriptors(n int) error {
	for range n {
		f, err := os.Open(os.DevNull)
		if IsShort(err) {
			return proto.Hint(proto.Errorf(proto.IO, "the limit of %d open files is too low: %w", MaxOpen(), Cause(err)), "ulimit -n 1024 raises it for one shell")
		}
		if err != nil {
			return nil // some other limit, which the transfer will meet
		}
		defer f.Close()
	}
	return nil
}

// MaxOpen returns how many files the process may have open, which does not change.
var MaxOpen = sync.OnceValue(maxOpen)

// IsShort reports whether a call failed because too many files are open, in the process or
// on the whole machine.
func IsShort(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || isShortHere(err)
}
