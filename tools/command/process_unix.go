//go:build !windows

package command

import (
	"os"
	"os/exec"
	"syscall"
)

func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func askToEnd(p *os.Process, group bool) { signal(p, group, syscall.SIGTERM) }

func kill(p *os.Process, group bool) { signal(p, group, syscall.SIGKILL) }

// signal fails only if the process or the group has ended.
func signal(p *os.Process, group bool, s syscall.Signal) {
	if group {
		_ = syscall.Kill(-p.Pid, s)
		return
	}
	_ = p.Signal(s)
}

func status(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}
