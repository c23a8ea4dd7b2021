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

// endSignals end a tool with status 128 + their number.
var endSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// signals changes what signals do to a tool.
type signals struct {
	reloads atomic.Bool // SIGHUP does not end the tool
}

// Hangups returns a channel for SIGHUP, which no longer ends the tool, even if the
// parent process ignored it (nohup). Several signals in a row may arrive as one.
func Hangups(c *cli.Context) (hangups <-chan os.Signal, stop func()) {
	notify := make(chan os.Signal, 1) // the runtime sends; never closed
	if r, ok := c.App.Metadata[runKey].(*run); ok && r.signals != nil {
		r.signals.reloads.Store(true)
	}
	signal.Notify(notify, syscall.SIGHUP)
	return notify, func() { signal.Stop(notify) }
}

// withSignals returns a context that the first of endSignals cancels, with its exit
// status as the cause. The second one ends the process at once. A signal that the
// parent process ignores stays ignored: nohup does that, and so does a shell without
// job control for a background job.
//
// writeSignals are caught, so that a write returns EPIPE or EFBIG and the process
// lives. They are not ignored, because CMD would inherit that.
func withSignals(parent context.Context) (ctx context.Context, s *signals, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	end := make(chan os.Signal, 2) // the runtime sends; never closed
	for _, sig := range endSignals {
		if !signal.Ignored(sig) {
			signal.Notify(end, sig)
		}
	}
	write := make(chan os.Signal, 1) // nobody reads it: catching is enough
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
