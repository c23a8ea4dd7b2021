// Package pty runs a command on a pseudo-terminal.
package pty

import "os"

// Options say what to run.
type Options struct {
	Command    []string
	Env        []string // the whole environment
	Cols, Rows int      // of the terminal when the command begins
	// Like, if it is a terminal, is whose settings the new one gets: which keys
	// erase, interrupt and so on.
	Like *os.File
}

// Exit is how a command ended.
type Exit struct {
	Code   int // 0 to 255; 128 and Signal for a signal
	Signal int
}
