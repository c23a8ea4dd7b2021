//go:build unix

package console

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopTimeout is how long Suspend waits for the process to be stopped. A process of an
// orphaned group, without a shell to continue it, never is.
const stopTimeout = 100 * time.Millisecond

// watch handles the signals of job control and of the window's size until the
// returned function is called. It does not handle signals that end the process: the
// owner of the console does, and closes it.
func (c *Console) watch() (stop func()) {
	signals := make(chan os.Signal, 4) // the runtime sends; never closed
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGTSTP)
	quit := make(chan struct{}) // closed by stop
	go func() {
		defer close(c.watchEnded)
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTSTP {
					_ = c.Suspend()
				} else if s == syscall.SIGCONT {
					_ = c.takeOver() // the shell has set its own mode
				}
				c.notify()
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

// Suspend gives the terminal back and stops the process group, as Ctrl-Z does. It
// returns when the process continues, with the terminal taken over again.
func (c *Console) Suspend() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if err := c.giveBackLocked(); err != nil {
		return err
	}
	continued := make(chan os.Signal, 1) // the runtime sends; never closed
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	// SIGTSTP has no default effect any more: once it was caught, signal.Reset does
	// not restore it. SIGTTIN stops the group too, and like SIGTSTP it does not stop an
	// orphaned one.
	if err := syscall.Kill(0, syscall.SIGTTIN); err == nil {
		select {
		case <-continued:
		case <-time.After(stopTimeout):
		}
	}
	defer c.notify()
	return c.takeOverLocked()
}

// enableSequences does nothing: terminals interpret escape sequences.
func enableSequences(*os.File) (restore func()) { return func() {} }
