// Package rawfd runs system calls on the file descriptor of an open file or
// socket without taking the descriptor away from Go's runtime.
package rawfd

import "syscall"

// Control calls f with the descriptor of c, which stays open and valid until f
// returns, and returns the error of f. If c is closed already, f is not called
// and the error says so. f must not close the descriptor nor keep it.
func Control(c syscall.Conn, f func(fd uintptr) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = f(fd) }); err != nil {
		return err
	}
	return callErr
}
