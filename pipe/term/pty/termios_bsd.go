//go:build freebsd || netbsd || openbsd || dragonfly

package pty

import "golang.org/x/sys/unix"

const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
	inputUTF8  = 0 // these systems have no such flag
)
