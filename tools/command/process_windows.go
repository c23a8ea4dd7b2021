package command

import (
	"os"
	"os/exec"

	"mesh/pipe/child"
)

func ownGroup(*exec.Cmd) {}

// askToEnd kills the process: Windows has no SIGTERM.
func askToEnd(p *os.Process, _ bool) { _ = p.Kill() }

func kill(p *os.Process, _ bool) { _ = p.Kill() }

func status(s *os.ProcessState) int { return child.WindowsCode(uint32(s.ExitCode())) }
