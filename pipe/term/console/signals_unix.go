//go:build unix

package console

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// orphanPause is how long a process waits to be stopped that no shell controls,
// so that it never is.
const orphanPause = 100 * time.Millisecond

// watch follows the signals of job control and of the window's size until the
// returned function is called. Signals that end the process are not its matter:
// whoever opened the console closes it then.
func (c *Console) watch() (stop func()) {
	signals := make(chan os.Signal, 4) // the runtime sends; never closed
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGTSTP)
	quit := make(chan struct{}) // closed by stop
	go func() {
		defer close(c.stopped)
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTSTP {
					_ = c.Suspend()
				} else if s == syscall.SIGCONT {
					_ = c.take() // the shell has made a mode of its own
				}
				c.tell()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(quit)
	}
}

// Suspend gives the terminal back and stops the process group, as Ctrl-Z does;
// it returns when the process goes on, with the terminal taken over again.
func (c *Console) Suspend() error {
	<-c.hold
	defer func() { c.hold <- struct{}{} }()
	if c.done {
		return nil
	}
	if err := c.give(); err != nil {
		return err
	}
	going := make(chan os.Signal, 1) // the runtime sends; never closed
	signal.Notify(going, syscall.SIGCONT)
	defer signal.Stop(going)
	// Once SIGTSTP was caught, the runtime does not give it back (signal.Reset does
	// not, for signals that it leaves alone by default); SIGTTIN stops as well, and
	// just as little what no shell could continue.
	if err := syscall.Kill(0, syscall.SIGTTIN); err == nil {
		select {
		case <-going:
		case <-time.After(orphanPause):
		}
	}
	defer c.tell()
	return c.takeLocked()
}

// ownOutput has nothing to do: a terminal shows escape sequences.
func ownOutput(*os.File) (restore func()) { return func() {} }
