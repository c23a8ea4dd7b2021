package handoff_test

import (
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline/handoff"
)

// A socket in our state folder that another user listens at is not talked to.
func TestOtherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	desk, path := open(t)
	desk.Close()
	listener := make(chan net.Listener)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			t.Error(errno)
		}
		l, err := net.Listen("unix", "@"+path) // abstract: nobody may not make a file there
		if err != nil {
			t.Error(err)
		}
		listener <- l
	}()
	l := <-listener
	if l == nil {
		return
	}
	defer l.Close()
	_, err := handoff.Next(t.Context(), "@"+path, []string{wire.KindPipe}, func() {})
	wantCode(t, "another user's socket", err, proto.Config)
}
