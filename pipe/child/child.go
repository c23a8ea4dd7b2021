// Package child holds what all commands that mesh starts have in common: the
// environment and the limit for core dumps that they get, and how their exit status on
// Windows reads.
package child

import (
	"runtime"
	"slices"
	"strings"
)

// private are the variables for this process alone. MESH_PEER may hold a token;
// the others are how this process and the service manager talk.
var private = []string{"MESH_PEER", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// Environ returns the variables in base as a command may see them: without those
// for this process alone, and with those in set, which are NAME=value. base is not
// changed.
func Environ(base []string, set ...string) []string {
	return environ(base, set, folds, nil)
}

// TerminalEnviron is [Environ] for a command on a shared terminal. Viewers may type
// there, so every MESH_ variable with TOKEN in its name is left out. So are LINES
// and COLUMNS, because the size of the terminal changes.
func TerminalEnviron(base []string, set ...string) []string {
	return environ(base, set, folds, unfitForTerminal)
}

// folds reports whether the names of variables are the same in capitals.
const folds = runtime.GOOS == "windows"

func unfitForTerminal(name string) bool {
	return name == "LINES" || name == "COLUMNS" || strings.HasPrefix(name, "MESH_") && strings.Contains(name, "TOKEN")
}

// environ leaves out of base what is private, what drop (nil for nothing) reports,
// and what set sets. With fold it compares names in capitals.
func environ(base, set []string, fold bool, drop func(name string) bool) []string {
	nameOf := func(v string) string {
		name, _, _ := strings.Cut(v, "=")
		if fold {
			name = strings.ToUpper(name)
		}
		return name
	}
	gone := slices.Clone(private)
	for _, v := range set {
		gone = append(gone, nameOf(v))
	}
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		name := nameOf(v)
		return slices.Contains(gone, name) || drop != nil && drop(name)
	})
	return append(env, set...)
}

// statusControlC is the status of a command on Windows that Ctrl-C has ended:
// STATUS_CONTROL_C_EXIT of ntstatus.h.
const statusControlC = 0xc000013a

// WindowsCode turns the 32 bits of an exit status on Windows into the byte that a
// shell knows: 130 for Ctrl-C, as on Unix, and 255 for anything above 255, for
// example a crash.
func WindowsCode(status uint32) int {
	if status == statusControlC {
		return 130
	}
	return int(min(status, 255))
}
