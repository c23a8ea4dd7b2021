package command

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

// terminate does what there is: Windows has no SIGTERM.
func terminate(p *os.Process, _ bool) { _ = p.Kill() }

func kill(p *os.Process, _ bool) { _ = p.Kill() }

// status is at most 255: the upper bits alone, as of an exception, are a failure too.
func status(s *os.ProcessState) int { return int(min(uint32(s.ExitCode()), 255)) }
