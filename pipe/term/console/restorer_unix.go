//go:build unix

package console

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// restorerTimeout is how long the restorer may take to start, and to end.
const restorerTimeout = 3 * time.Second

// restorer is the parent's side of the restorer process. All methods of a nil one do
// nothing: a console without a restorer is better than none.
type restorer struct {
	control *os.File
	cmd     *exec.Cmd
}

// startRestorer starts the process and waits until it is ready. It returns nil if that
// fails.
func startRestorer(terminal *os.File, leave string) *restorer {
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
	cmd := exec.Command(exe, restorerArg)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, terminal, theirAnswer
	// In a session of its own it gets no signal of keys or of the parent's process
	// group, and may change the terminal's mode at any time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{"GOMAXPROCS=1"}
	err = cmd.Start()
	theirAnswer.Close()
	if err != nil {
		control.Close()
		return nil
	}
	r := &restorer{control: control, cmd: cmd}
	_ = answer.SetReadDeadline(time.Now().Add(restorerTimeout))
	var b [1]byte
	if _, err := answer.Read(b[:]); err != nil || b[0] != ready {
		r.close()
		return nil
	}
	r.setLeave(leave)
	return r
}

// send sends a message to the process. If that was killed, the console works on
// without it.
func (r *restorer) send(p []byte) {
	if r != nil {
		_, _ = r.control.Write(p)
	}
}

// close ends the process, and waits for it.
func (r *restorer) close() {
	if r != nil {
		r.control.Close()
		late := time.AfterFunc(restorerTimeout, func() { _ = r.cmd.Process.Kill() })
		_ = r.cmd.Wait()
		late.Stop()
	}
}

func ignoreSignals() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
}
