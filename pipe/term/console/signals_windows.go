package console

import (
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// resizeEvery is how often the window's size is asked for: nothing tells of it.
const resizeEvery = 250 * time.Millisecond

func (c *Console) watch() (stop func()) {
	quit := make(chan struct{}) // closed by stop
	go func() {
		defer close(c.stopped)
		tick := time.NewTicker(resizeEvery)
		defer tick.Stop()
		cols, rows := c.Size()
		for {
			select {
			case <-tick.C:
				if w, h := c.Size(); w != cols || h != rows {
					cols, rows = w, h
					c.tell()
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

// ownOutput makes a console show escape sequences.
func ownOutput(out *os.File) (restore func()) {
	h := windows.Handle(out.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return func() {}
	}
	_ = windows.SetConsoleMode(h, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	return func() { _ = windows.SetConsoleMode(h, mode) }
}
