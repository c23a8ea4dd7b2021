package child

import "os/exec"

// ForbidCoreDumps does nothing: a process cannot refuse a dump here.
func ForbidCoreDumps() {}

// Start starts cmd.
func Start(cmd *exec.Cmd) error { return cmd.Start() }
