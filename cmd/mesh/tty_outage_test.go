//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/pipe/term/termtest"
)

// wire is a TCP proxy to an address. It can be cut.
type wire struct {
	net.Listener
	to    string
	stall time.Duration // what is sent to the address waits so long after each stallBytes

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

const stallBytes = 100_000

func newWire(t *testing.T, to string, stall time.Duration) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to, stall: stall}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.set(true)
		wg.Wait()
	})
	return w
}

// carry copies one connection until it ends or is cut.
func (w *wire) carry(near net.Conn) {
	defer near.Close()
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return
	}
	far, err := net.Dial("tcp", w.to)
	if err == nil {
		defer far.Close()
		w.conns = append(w.conns, near, far)
	}
	w.mu.Unlock()
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer far.Close()
		for {
			if _, err := io.CopyN(far, near, stallBytes); err != nil {
				return
			}
			<-time.After(w.stall)
		}
	})
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

// set cuts the wire, or repairs it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// freeAddr returns an address that is not in use.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// While a link is cut, the sharer's terminal changes its size and its content. The link
// resumes by itself, and the viewer then shows the same as the sharer.
func TestTTYOutage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	addr := freeAddr(t)
	w := newWire(t, addr, 0)
	s := &shared{t: t, dir: t.TempDir()}
	s.sharer = s.pane("bash", 100, 30)
	s.sharer.Run("clear; mesh-tty --share --control --listen " + addr + " --addr " + w.Addr().String() + " --token-file tok -- bash --norc --noprofile")
	s.waitFile("tok.control")
	s.sharer.Run("clear; echo shared $((40+2))")
	s.sharer.WaitText("shared 42")
	lines := "for i in $(seq 300); do printf '\\033[3%dmline %d\\033[m with some words that are longer than a narrow terminal has room for, and more\\n' $((i%8)) $i; done\n"
	if err := os.WriteFile(filepath.Join(s.dir, "lines"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	v := s.view("tok.control", 90, 25, "--via", "tcp")
	v.WaitText("shared 42")
	w.set(true)
	v.WaitText("the link is broken")
	s.sharer.Resize(90, 25)
	s.sharer.Run("until [ \"$(stty size)\" = '25 90' ]; do sleep 0.1; done; sh lines; stty size; echo resized $((40+2))")
	s.sharer.WaitText("25 90\nresized 42")
	w.set(false)
	wantSame(t, "after the outage", s.sharer, v)
	v.Run("echo typed $((60+6))")
	s.sharer.WaitText("typed 66")
	termtest.Wait(t, func() error {
		if got := v.Text(); strings.Contains(got, "broken") {
			return fmt.Errorf("the link is still broken:\n%s", got)
		}
		return nil
	})
	wantSame(t, "typed after the outage", s.sharer, v)
}
