//go:build !windows

package pty

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	creack "github.com/creack/pty"
	"golang.org/x/sys/unix"

	"mesh/pipe/child"
	"mesh/proto"
	"mesh/proto/rawfd"
)

const (
	// drainTime is how long processes that the command has left behind may still print
	// after it has ended.
	drainTime = time.Second
	// hangupTime is how long a command may take to end after SIGHUP, before SIGKILL.
	hangupTime = 2 * time.Second
)

// Supported reports whether Start can succeed on this system.
const Supported = true

// Process is a command on a terminal of its own. One goroutine may read while
// others write.
type Process struct {
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{} // closed by wait
	exit   Exit          // valid then
}

// Start runs the command on a new terminal, as the leader of a new session. The caller
// closes the process.
func Start(o Options) (*Process, error) {
	master, slave, err := open(o)
	if err != nil {
		return nil, proto.IOError(fmt.Errorf("open a terminal: %w", err))
	}
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Env = o.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = child.Start(cmd)
	slave.Close()
	if err != nil {
		master.Close()
		if e, ok := errors.AsType[*exec.Error](err); ok {
			err = e.Err
		}
		return nil, proto.IOError(fmt.Errorf("run %q: %w", o.Command[0], err))
	}
	p := &Process{cmd: cmd, master: master, ended: make(chan struct{})}
	go p.wait()
	return p, nil
}

// open makes the terminal, with its size and settings in place from the start.
func open(o Options) (master, slave *os.File, err error) {
	first, slave, err := creack.Open()
	if err != nil {
		return nil, nil, err
	}
	defer first.Close()
	master, err = pollable(first)
	if err == nil {
		err = errors.Join(setSize(master, o.Cols, o.Rows), copySettings(slave, o.Like))
	}
	if err != nil {
		slave.Close()
		if master != nil {
			master.Close()
		}
		return nil, nil, err
	}
	return master, slave, nil
}

// pollable returns another descriptor of f that does not block a thread and has read
// deadlines. Its method Fd must not be called: it would make the file blocking again.
func pollable(f *os.File) (*os.File, error) {
	var fd int
	err := rawfd.Control(f, func(old uintptr) (err error) {
		if fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3); err != nil {
			return err
		}
		return unix.SetNonblock(fd, true)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pty"), nil
}

// copySettings gives the terminal the settings of like, and marks its input as UTF-8,
// so that the erase key erases whole characters.
func copySettings(slave, like *os.File) error {
	return rawfd.Control(slave, func(fd uintptr) error {
		t, err := unix.IoctlGetTermios(int(fd), getTermios)
		if err != nil {
			return err
		}
		if like != nil {
			if other, err := unix.IoctlGetTermios(int(like.Fd()), getTermios); err == nil {
				t = other
			}
		}
		t.Iflag |= inputUTF8
		return unix.IoctlSetTermios(int(fd), setTermios, t)
	})
}

func setSize(master *os.File, cols, rows int) error {
	return rawfd.Control(master, func(fd uintptr) error {
		return unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(cols), Row: uint16(rows)})
	})
}

func (p *Process) wait() {
	_ = p.cmd.Wait() // ProcessState has the result
	p.exit.Code = p.cmd.ProcessState.ExitCode()
	if w, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		p.exit = Exit{Code: 128 + int(w.Signal()), Signal: int(w.Signal())}
	}
	close(p.ended)
	_ = p.master.SetReadDeadline(time.Now().Add(drainTime)) // fails if closed: then Read ends too
}

// Read reads the output of the command and of the processes that it has started. It
// returns [io.EOF] when all of them have ended, at the latest a second after the
// command.
func (p *Process) Read(b []byte) (int, error) {
	n, err := p.master.Read(b)
	switch {
	case err == nil, errors.Is(err, io.EOF):
	case errors.Is(err, syscall.EIO), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
		err = io.EOF // Linux returns EIO when no process has the other side open
	default:
		err = proto.IOError(err)
	}
	return n, err
}

// Write types b. It blocks while the terminal's input queue is full.
func (p *Process) Write(b []byte) (int, error) { return p.master.Write(b) }

// Resize changes the terminal's size, and the command is notified.
func (p *Process) Resize(cols, rows int) error { return setSize(p.master, cols, rows) }

// Hides reports whether input that is typed now is not shown, for example a password: the
// command reads whole lines without echo. A full screen program, which echoes itself,
// reads single characters.
func (p *Process) Hides() bool {
	hides := false
	_ = rawfd.Control(p.master, func(fd uintptr) error { // fails after Close
		t, err := unix.IoctlGetTermios(int(fd), getTermios)
		hides = err == nil && t.Lflag&(unix.ECHO|unix.ICANON) == unix.ICANON
		return err
	})
	return hides
}

// Flow returns the keys that stop and continue the output now.
func (p *Process) Flow() (f Flow) {
	_ = rawfd.Control(p.master, func(fd uintptr) error { // fails after Close
		t, err := unix.IoctlGetTermios(int(fd), getTermios)
		if err != nil || t.Iflag&unix.IXON == 0 {
			return err
		}
		f = Flow{Stop: t.Cc[unix.VSTOP], AnyOthers: t.Iflag&unix.IXANY != 0, Continue: []byte{t.Cc[unix.VSTART]}}
		if t.Lflag&unix.ISIG != 0 {
			f.Continue = append(f.Continue, t.Cc[unix.VINTR], t.Cc[unix.VQUIT], t.Cc[unix.VSUSP])
		}
		if f.Stop == noKey {
			f.Stop = 0
		}
		return nil
	})
	return f
}

// noKey stands for no key in a terminal's settings (_POSIX_VDISABLE of the BSDs; it is 0
// on Linux).
const noKey = 0xff

// Foreground returns the process group in the foreground of the terminal, or 0 if that is
// unknown.
func (p *Process) Foreground() (group int) {
	_ = rawfd.Control(p.master, func(fd uintptr) (err error) { // fails after Close
		group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
		if err != nil {
			group = 0
		}
		return err
	})
	return group
}

// HasJob reports whether a job has the foreground now that did not have it when
// Foreground returned before. The command itself is no job: it is a shell, or runs no
// jobs. If group before has ended, a shell within the shell may have, so HasJob cannot
// tell a job from the shell around it and reports false.
func (p *Process) HasJob(before int) bool {
	now := p.Foreground()
	if now <= 0 || before <= 0 || now == before || now == p.Pid() {
		return false
	}
	return !errors.Is(syscall.Kill(-before, 0), syscall.ESRCH)
}

// Ended is closed when the command has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait returns how the command ended. It blocks until it has.
func (p *Process) Wait() Exit {
	<-p.ended
	return p.exit
}

// Pid returns the command's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Close hangs up the terminal: the command gets SIGHUP, and SIGKILL if it has not ended
// two seconds later. Close blocks until the command has ended.
func (p *Process) Close() {
	select {
	case <-p.ended:
		_ = p.master.Close()
		return
	default:
	}
	_ = syscall.Kill(-p.Pid(), syscall.SIGHUP) // fails if no process is left
	timer := time.NewTimer(hangupTime)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
		<-p.ended
	}
	_ = p.master.Close()
}
