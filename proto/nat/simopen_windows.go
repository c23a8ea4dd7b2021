package nat

import (
	"errors"
	"syscall"
)

// sharePort fails: SO_REUSEADDR of Windows would let another user's process take over the
// port.
func sharePort(_, _ string, _ syscall.RawConn) error { return errors.ErrUnsupported }
