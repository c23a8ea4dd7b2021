package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mesh/proto"
)

// roamers makes two network namespaces on one wire, and returns their names. The one of the
// caller has 192.0.2.1, the other one 192.0.2.9.
func roamers(t *testing.T) (caller, other string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no ip here")
	}
	base := fmt.Sprintf("meshroam%d-%d-", os.Getpid(), time.Now().UnixNano()%1e6)
	for _, end := range []string{"a", "b"} {
		if out, err := exec.Command("ip", "netns", "add", base+end).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %s", out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", base+end).Run() })
	}
	ip(t, "-n", base+"a", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", base+"b")
	for end, addr := range map[string]string{"a": "192.0.2.1/24", "b": "192.0.2.9/24"} {
		ip(t, "-n", base+end, "link", "set", "eth0", "up")
		ip(t, "-n", base+end, "addr", "add", addr, "dev", "eth0")
	}
	return base + "a", base + "b"
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// trickle writes blocks until stop is closed, and then ends the pipe. The channel brings how
// many bytes it has written.
func trickle(in io.WriteCloser, stop <-chan struct{}) <-chan int {
	written := make(chan int, 1)
	go func() {
		n := 0
		for block := make([]byte, 4096); ; {
			got, err := in.Write(block)
			n += got
			select {
			case <-stop:
			case <-time.After(5 * time.Millisecond):
				if err == nil {
					continue
				}
			}
			_ = in.Close()
			written <- n
			return
		}
	}()
	return written
}

// longestGap reads until the end, and returns the number of bytes and the longest time
// without one after change, which it calls once some bytes have come. A second after that
// it calls stop.
func longestGap(out io.Reader, change, stop func()) (read int, gap time.Duration, err error) {
	var changed time.Time
	stopped := false
	buf, last := make([]byte, 64<<10), time.Now()
	for {
		n, err := out.Read(buf)
		now := time.Now()
		read += n
		if !changed.IsZero() {
			gap = max(gap, now.Sub(last))
		}
		last = now
		switch {
		case err != nil:
			return read, gap, err
		case changed.IsZero() && read > 100_000:
			change()
			changed, last = time.Now(), time.Now()
		case !changed.IsZero() && now.Sub(changed) > time.Second && !stopped:
			stopped = true
			stop()
		}
	}
}

// A pipe goes on within seconds when its caller's machine gets another address in place of
// the old one, and no byte is lost. Over TCP the link is dead then; over QUIC it lives on.
func TestAnotherAddress(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			caller, other := roamers(t)
			dir := t.TempDir()
			out, tell := io.Pipe() // StdoutPipe would lose unread bytes at the end of the process
			recv := begin(t, dir, func(c *exec.Cmd) { c.Stdout = tell },
				"ip", "netns", "exec", other, "mesh-recv", "--token-file", "tok", "--listen", "192.0.2.9:0")
			t.Cleanup(func() { _ = out.Close() })
			go func() {
				<-recv.ended
				_ = tell.Close()
			}()
			await(t, filepath.Join(dir, "tok"))
			var in io.WriteCloser
			cat := begin(t, dir, func(c *exec.Cmd) {
				c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, "caller"))
				var err error
				if in, err = c.StdinPipe(); err != nil {
					t.Fatal(err)
				}
			}, "ip", "netns", "exec", caller, "mesh-cat", "--via", via, "@tok")

			stop := make(chan struct{})
			written := trickle(in, stop)
			got, gap, err := longestGap(out, func() {
				ip(t, "-n", caller, "addr", "del", "192.0.2.1/24", "dev", "eth0")
				ip(t, "-n", caller, "addr", "add", "192.0.2.2/24", "dev", "eth0")
			}, func() { close(stop) })
			if want := <-written; err != io.EOF || got != want {
				t.Errorf("got %d bytes and %v, want %d and the end", got, err, want)
			}
			if c, r := cat.code(t), recv.code(t); c != proto.OK || r != proto.OK {
				t.Errorf("mesh-cat ended with %v, mesh-recv with %v: %s", c, r, cat.stderr.Bytes())
			}
			t.Logf("another address: a gap of %s", gap.Round(time.Millisecond))
			if gap > 3*time.Second {
				t.Errorf("a gap of %s, want 3 s at most", gap)
			}
		})
	}
}

// The file with a listener's addresses follows the network, so that the tokens that are made
// later work. Addresses that the user has given stay.
func TestListenerAddrs(t *testing.T) {
	t.Parallel()
	_, here := roamers(t)
	dir := t.TempDir()
	at := func(home string) string {
		addrs, _ := os.ReadFile(filepath.Join(dir, home, "listener_addrs"))
		return string(addrs)
	}
	var listeners []*aTool
	for home, args := range map[string][]string{"own": nil, "given": {"--addr", "192.0.2.9:7"}} {
		listeners = append(listeners, begin(t, dir, func(c *exec.Cmd) {
			c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, home))
		}, "ip", append([]string{"netns", "exec", here, "mesh-listen", "--listen", ":0", "--inbox", "."}, args...)...))
		poll(t, "addresses of "+home, func() bool { return strings.Contains(at(home), "192.0.2.9:") })
	}
	port := regexp.MustCompile(`192\.0\.2\.9:(\d+)`).FindStringSubmatch(at("own"))[1]
	ip(t, "-n", here, "addr", "del", "192.0.2.9/24", "dev", "eth0")
	ip(t, "-n", here, "addr", "add", "192.0.2.10/24", "dev", "eth0")
	poll(t, "the new address", func() bool { return strings.Contains(at("own"), "192.0.2.10:"+port+"\n") })
	if got := at("own"); strings.Contains(got, "192.0.2.9:") {
		t.Errorf("got the old address too: %q", got)
	}
	if got := at("given"); got != "192.0.2.9:7\n" {
		t.Errorf("got %q, want the given address", got)
	}
	for _, l := range listeners {
		if ended(l) {
			t.Errorf("a listener has ended: %s", l.stderr.Bytes())
		}
	}
}
