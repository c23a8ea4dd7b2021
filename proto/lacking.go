package proto

import (
	"errors"
	"runtime"
	"syscall"
)

// errInvalidFunction is the code with which Windows refuses a hard link on FAT and exFAT.
const errInvalidFunction = syscall.Errno(1)

// IsLacking reports whether a call failed because the file system, a mount option or a
// rule of the system does not offer it. A damaged or full disk is something else.
func IsLacking(err error) bool {
	if errors.Is(err, errors.ErrUnsupported) { // ENOSYS, ENOTSUP, EOPNOTSUPP
		return true
	}
	no, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return false
	}
	switch no {
	case syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOTTY, syscall.ENOLCK:
		return true
	}
	return runtime.GOOS == "windows" && no == errInvalidFunction
}
