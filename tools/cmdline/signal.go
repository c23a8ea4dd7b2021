package cmdline

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mesh/proto"
)

// endSignals end a tool with 128 + their number.
var endSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// withSignals returns a context that the first of endSignals cancels with its
// code as the cause. A second one ends the process at once. What the parent
// ignores stays ignored: nohup, and a background job of a shell without job
// control.
//
// writeSignals are caught, so that a write returns EPIPE or EFBIG instead of
// killing the process. They are not ignored, because CMD would inherit that.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	end := make(chan os.Signal, 2) // the runtime sends; never closed
	for _, s := range endSignals {
		if !signal.Ignored(s) {
			signal.Notify(end, s)
		}
	}
	write := make(chan os.Signal, 1) // nobody reads: being caught is all
	for _, s := range writeSignals {
		if !signal.Ignored(s) {
			signal.Notify(write, s)
		}
	}
	quit, done := make(chan struct{}), make(chan struct{}) // closed by stop, and by the goroutine
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case s := <-end:
				status := proto.Code(128 + int(s.(syscall.Signal)))
				if n > 0 {
					os.Exit(int(status))
				}
				cancel(&proto.Error{Code: status, Err: signalled{s.(syscall.Signal)}})
			case <-quit:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(end)
		signal.Stop(write)
		close(quit)
		<-done
		cancel(nil)
	}
}
