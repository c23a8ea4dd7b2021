//go:build unix

package console

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// guardTimeout is how long the guard may take to be there, and to be gone.
const guardTimeout = 3 * time.Second

// guard is the guard from its parent's side. All methods of nil do nothing: a
// terminal without a guard is better than none.
type guard struct {
	control *os.File
	cmd     *exec.Cmd
}

// startGuard starts the guard and waits until it is there.
func startGuard(terminal *os.File, leave string) *guard {
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	theirs, control, err := os.Pipe()
	if err != nil {
		return nil
	}
	defer theirs.Close()
	answer, theirAnswer, err := os.Pipe()
	if err != nil {
		control.Close()
		return nil
	}
	defer answer.Close()
	cmd := exec.Command(exe, guardWord)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, terminal, theirAnswer
	// In a session of its own, no key and no signal to the parent's process group
	// reaches it, and the terminal's mode may be changed at any time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{"GOMAXPROCS=1"}
	err = cmd.Start()
	theirAnswer.Close()
	if err != nil {
		control.Close()
		return nil
	}
	g := &guard{control: control, cmd: cmd}
	_ = answer.SetReadDeadline(time.Now().Add(guardTimeout))
	var b [1]byte
	if _, err := answer.Read(b[:]); err != nil || b[0] != ready {
		g.close()
		return nil
	}
	g.setLeave(leave)
	return g
}

// send tells the guard. One that was killed is no reason to fail.
func (g *guard) send(p []byte) {
	if g != nil {
		_, _ = g.control.Write(p)
	}
}

// close ends the guard.
func (g *guard) close() {
	if g != nil {
		g.control.Close()
		late := time.AfterFunc(guardTimeout, func() { _ = g.cmd.Process.Kill() })
		_ = g.cmd.Wait()
		late.Stop()
	}
}

func ignoreSignals() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
}
