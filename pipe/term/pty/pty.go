// Package pty runs a command on a pseudo-terminal.
package pty

import (
	"os"
	"slices"
	"strings"
)

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

// Environ returns base as a command on a shared terminal may see it: without
// what lets in where we are let in, without what a service manager says to us,
// without a size that changes, and with the variables in set, which are NAME=value.
func Environ(base []string, set ...string) []string {
	drop := []string{"MESH_PEER", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LINES", "COLUMNS"}
	for _, v := range set {
		name, _, _ := strings.Cut(v, "=")
		drop = append(drop, name)
	}
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(drop, name) || strings.HasPrefix(name, "MESH_") && strings.Contains(name, "TOKEN")
	})
	return append(env, set...)
}
