package command

import (
	"os"
	"os/exec"

	"mesh/pipe/child"
)

func ownGroup(*exec.Cmd) {}

// terminate does what there is: Windows has no SIGTERM.
func terminate(p *os.Process, _ bool) { _ = p.Kill() }

func kill(p *os.Process, _ bool) { _ = p.Kill() }

func status(s *os.ProcessState) int { return child.WindowsCode(uint32(s.ExitCode())) }
