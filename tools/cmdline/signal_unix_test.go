//go:build unix

package cmdline_test

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// Signals reach the whole process, so this test runs alone.
func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) {
			t.Logf("%v is ignored here, by nohup or the like, and stays so", s)
			continue
		}
		for name, how := range map[string]func(context.Context) error{
			"cancelled": func(ctx context.Context) error { return ctx.Err() },
			"cause":     context.Cause,
			"closed":    func(context.Context) error { return proto.IOError(io.ErrClosedPipe) },
			"link lost": func(context.Context) error { return proto.Errorf(proto.Truncated, "link lost") },
		} {
			status, out, stderr := call(t, func(c *cli.Context) error {
				if err := syscall.Kill(os.Getpid(), s); err != nil {
					return err
				}
				<-c.Context.Done()
				return how(c.Context)
			}, "mesh-probe")
			if want := 128 + int(s); status != want || out+stderr != "" {
				t.Errorf("%v, %s: got status %d, %q; want %d and silence", s, name, status, out+stderr, want)
			}
		}
	}
	status, _, _ := call(t, func(c *cli.Context) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-c.Context.Done()
		return proto.Errorf(proto.Integrity, "digest mismatch")
	}, "mesh-probe")
	if status != int(proto.Integrity) {
		t.Errorf("a verdict before the signal: got %d, want 30", status)
	}
}
