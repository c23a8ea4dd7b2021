//go:build unix

package child

import (
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"
)

// core is the limit for core dumps. It belongs to the process, and so does this
// variable.
var core struct {
	sync.Mutex
	lowered    bool
	given, own unix.Rlimit
}

// ForbidCoreDumps keeps this process from leaving its memory, with its keys and tokens,
// in a core dump. A command that [Start] starts has the limit that this process was
// given.
//
// The process stays "dumpable" (prctl(2), PR_SET_DUMPABLE): otherwise the user's own
// debugger, strace, lsof and ss would not see it.
func ForbidCoreDumps() {
	core.Lock()
	defer core.Unlock()
	if core.lowered || unix.Getrlimit(unix.RLIMIT_CORE, &core.given) != nil {
		return
	}
	core.own = core.given
	core.own.Cur = min(noCore, core.given.Max)
	core.lowered = unix.Setrlimit(unix.RLIMIT_CORE, &core.own) == nil
}

// Start starts cmd with the limit for core dumps that this process was given. While the
// command starts, the limit is that of this process too.
func Start(cmd *exec.Cmd) error {
	core.Lock()
	defer core.Unlock()
	if core.lowered {
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &core.given) // within the hard limit, so it cannot fail
		defer func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &core.own) }()
	}
	return cmd.Start()
}
