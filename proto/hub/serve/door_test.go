package serve_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// places is how many connections that are not logged in a hub has.
const places = 512

// begun opens a connection from each address and begins a TLS handshake on it.
func (h testHub) begun(t *testing.T, addrs []string) (all []net.Conn) {
	t.Helper()
	for _, from := range addrs {
		c := h.dialFrom(t, from)
		if _, err := c.Write([]byte{0x16, 3, 1, 2, 0, 1, 0}); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// closed returns how many connections the hub closes within the given time.
func closed(all []net.Conn, within time.Duration) int {
	var n atomic.Int64
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(within))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return int(n.Load())
}

func sources(n int) (addrs []string) {
	for i := range n {
		addrs = append(addrs, fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250))
	}
	return addrs
}

// When all members of a hub come at once, more than there are places, none loses its place
// to one that comes later. Clients that stop in the middle of the handshake lose their
// places after a while, and keep nobody out.
func TestHerd(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	all := sources(places + 40)
	began := time.Now()
	first := h.begun(t, all[:places])
	h.begun(t, all[places:])
	n := closed(first, 300*time.Millisecond)
	if slow := time.Since(began) > 1500*time.Millisecond; n > 0 && !slow { // else the hub's patience may be over
		t.Errorf("%d of %d connections lost their places to those that came later", n, places)
	}
	h.enter(t, h.member(t))
}

// A source that has more than its share loses places to others at once.
func TestHogs(t *testing.T) {
	t.Parallel()
	h := start(t, patient)
	var hogs []string
	for _, from := range sources(places / 32) {
		for range 32 {
			hogs = append(hogs, from)
		}
	}
	first := h.begun(t, hogs)
	began := time.Now()
	h.enter(t, h.member(t))
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the login beside hogs took %v", took)
	}
	if n := closed(first, 300*time.Millisecond); n == 0 || n > 2 {
		t.Errorf("%d of the hogs' connections lost their places, want 1 or 2", n)
	}
}
