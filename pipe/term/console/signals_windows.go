package console

import (
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// sizeInterval is how often the window's size is read: Windows sends no event for it.
const sizeInterval = 250 * time.Millisecond

// watch notifies of changes of the window's size until the returned function is called.
func (c *Console) watch() (stop func()) {
	quit := make(chan struct{}) // closed by stop
	go func() {
		defer close(c.watchEnded)
		tick := time.NewTicker(sizeInterval)
		defer tick.Stop()
		cols, rows := c.Size()
		for {
			select {
			case <-tick.C:
				if w, h := c.Size(); w != cols || h != rows {
					cols, rows = w, h
					c.notify()
				}
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit) }
}

// Suspend does nothing: Windows has no job control.
func (c *Console) Suspend() error { return nil }

// enableSequences makes a console interpret escape sequences.
func enableSequences(out *os.File) (restore func()) {
	h := windows.Handle(out.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return func() {}
	}
	_ = windows.SetConsoleMode(h, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	return func() { _ = windows.SetConsoleMode(h, mode) }
}
