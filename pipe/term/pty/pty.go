// Package pty runs a command on a pseudo-terminal.
package pty

import (
	"os"
	"runtime"
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
	return environ(base, set, runtime.GOOS == "windows")
}

// environ is Environ. Where names fold, small letters in them are capitals.
func environ(base, set []string, fold bool) []string {
	nameOf := func(v string) string {
		name, _, _ := strings.Cut(v, "=")
		if fold {
			name = strings.ToUpper(name)
		}
		return name
	}
	drop := []string{"MESH_PEER", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LINES", "COLUMNS"}
	for _, v := range set {
		drop = append(drop, nameOf(v))
	}
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		name := nameOf(v)
		return slices.Contains(drop, name) || strings.HasPrefix(name, "MESH_") && strings.Contains(name, "TOKEN")
	})
	return append(env, set...)
}

// statusControlC is the status of a command on Windows that Ctrl-C has ended:
// STATUS_CONTROL_C_EXIT of ntstatus.h.
const statusControlC = 0xc000013a

// WindowsCode is what a shell can say of one of Windows' statuses, of 32 bits: 130,
// as elsewhere, for Ctrl-C; 255 for what is more than that, such as of a crash.
func WindowsCode(status uint32) int {
	if status == statusControlC {
		return 130
	}
	return int(min(status, 255))
}
