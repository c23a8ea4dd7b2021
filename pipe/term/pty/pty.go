// Package pty runs a command on a pseudo-terminal.
package pty

import "os"

// Options are what to run and on what terminal.
type Options struct {
	Command    []string
	Env        []string // the whole environment
	Cols, Rows int      // the terminal's size at first
	// Like, if it is a terminal, gives the new one its settings: the keys that erase,
	// interrupt and so on.
	Like *os.File
}

// Exit is how a command ended.
type Exit struct {
	Code   int // 0 to 255; 128 + Signal after a signal
	Signal int // the signal that ended it, or 0
}

// Flow is the keys that stop and continue the output (IXON), as they are now.
type Flow struct {
	Stop      byte   // 0 if none does
	Continue  []byte // these keys
	AnyOthers bool   // or any that is not Stop
}
