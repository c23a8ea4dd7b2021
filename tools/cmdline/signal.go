package cmdline

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// endSignals end a tool with 128 + their number.
var endSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// signals is what a tool may say of them.
type signals struct {
	reloads atomic.Bool // SIGHUP does not end the tool
}

// Hangups makes SIGHUP no end of the tool from now on, nohup or not, and returns
// where it is told instead. Several that come at once may be told once.
func Hangups(c *cli.Context) (hangups <-chan os.Signal, stop func()) {
	told := make(chan os.Signal, 1) // the runtime sends; never closed
	if r, ok := c.App.Metadata[runKey].(*run); ok && r.signals != nil {
		r.signals.reloads.Store(true)
	}
	signal.Notify(told, syscall.SIGHUP)
	return told, func() { signal.Stop(told) }
}

// withSignals returns a context that the first of endSignals cancels with its
// code as the cause. A second one ends the process at once. What the parent
// ignores stays ignored: nohup, and a background job of a shell without job
// control.
//
// writeSignals are caught, so that a write returns EPIPE or EFBIG instead of
// killing the process. They are not ignored, because CMD would inherit that.
func withSignals(parent context.Context) (ctx context.Context, s *signals, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	end := make(chan os.Signal, 2) // the runtime sends; never closed
	for _, sig := range endSignals {
		if !signal.Ignored(sig) {
			signal.Notify(end, sig)
		}
	}
	write := make(chan os.Signal, 1) // nobody reads: being caught is all
	for _, sig := range writeSignals {
		if !signal.Ignored(sig) {
			signal.Notify(write, sig)
		}
	}
	s = new(signals)
	quit, done := make(chan struct{}), make(chan struct{}) // closed by stop, and by the goroutine
	go func() {
		defer close(done)
		for n := 0; ; {
			select {
			case sig := <-end:
				if sig == syscall.SIGHUP && s.reloads.Load() {
					continue
				}
				status := proto.Code(128 + int(sig.(syscall.Signal)))
				if n++; n > 1 {
					os.Exit(int(status))
				}
				cancel(&proto.Error{Code: status, Err: signalled{sig.(syscall.Signal)}})
			case <-quit:
				return
			}
		}
	}()
	return ctx, s, func() {
		signal.Stop(end)
		signal.Stop(write)
		close(quit)
		<-done
		cancel(nil)
	}
}
