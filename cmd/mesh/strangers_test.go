//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
)

// proxy forwards TCP connections to an address, until it resets them.
type proxy struct {
	t    *testing.T
	addr string
	to   string
	page atomic.Bool // answer with a web page instead

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{t: t, addr: "127.0.0.1:0"}
	p.listen()
	p.addr = p.listener.Addr().String()
	t.Cleanup(p.reset)
	return p
}

// listen begins to accept connections. Another process may have the port for a moment.
func (p *proxy) listen() {
	p.t.Helper()
	var l net.Listener
	poll(p.t, "a socket on "+p.addr, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", p.addr)
		return err == nil
	})
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			if p.page.Load() {
				_, _ = io.WriteString(in, "HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n")
				in.Close()
				continue
			}
			p.forward(in)
		}
	}()
}

func (p *proxy) forward(in net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		in.Close()
		return
	}
	p.conns = append(p.conns, in, out)
	for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() { _, _ = io.Copy(ends[0], ends[1]) }()
	}
}

// reset ends all connections with RST, and refuses new ones until listen.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for _, c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	p.conns = nil
}

// begun starts mesh-recv behind the proxy, and mesh-cat over it, and waits until the
// first bytes have arrived.
func (p *proxy) begun(dir string, flags ...string) (recv, cat *aTool, input io.WriteCloser) {
	p.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	to := free.Addr().String()
	free.Close()
	p.mu.Lock()
	p.to = to
	p.mu.Unlock()
	return transferBegun(p.t, dir, []string{"--listen", to, "--addr", p.addr}, flags...)
}

// transferBegun starts mesh-recv, with the flags in listen too, and mesh-cat, and waits
// until the first bytes, "before ", are in the file out.
func transferBegun(t *testing.T, dir string, listen []string, flags ...string) (recv, cat *aTool, input io.WriteCloser) {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	recv = begin(t, dir, func(c *exec.Cmd) { c.Stdout = out }, "mesh-recv", append(append(listen, "--token-file", "tok"), flags...)...)
	await(t, filepath.Join(dir, "tok"))
	cat = begin(t, dir, func(c *exec.Cmd) {
		if input, err = c.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { input.Close() })
	}, "mesh-cat", append(flags, "--events", "events", "@tok")...)
	if _, err := io.WriteString(input, "before "); err != nil {
		t.Fatal(err)
	}
	await(t, filepath.Join(dir, "out"))
	poll(t, "the answer of mesh-recv", func() bool {
		events, _ := os.ReadFile(filepath.Join(dir, "events"))
		return bytes.Contains(events, []byte(`"peer"`))
	})
	return recv, cat, input
}

// A path that resets connections and refuses new ones for 3 seconds, or answers with a
// web page for longer than a refusal counts, does not end a transfer.
func TestTransferOutlastsStrangers(t *testing.T) {
	t.Parallel()
	for _, page := range []bool{false, true} {
		t.Run(fmt.Sprintf("page %v", page), func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			dir := t.TempDir()
			recv, cat, input := p.begun(dir, "--via", "tcp", "--resume-for", "30s")
			p.reset()
			if page {
				p.page.Store(true)
				p.listen()
			}
			<-time.After(3 * time.Second)
			if page {
				p.reset()
				p.page.Store(false)
			}
			p.listen()
			if _, err := io.WriteString(input, "after"); err != nil {
				t.Errorf("write to mesh-cat: %v", err)
			}
			input.Close()
			if got := cat.code(t); got != proto.OK {
				t.Errorf("mesh-cat ended with %v: %s", got, cat.stderr.Bytes())
			}
			if got := recv.code(t); got != proto.OK {
				t.Errorf("mesh-recv ended with %v: %s", got, recv.stderr.Bytes())
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "out")); string(got) != "before after" {
				t.Errorf("got %q, want %q", got, "before after")
			}
		})
	}
}

// When one end is killed on the same machine, the other ends with 12 within seconds,
// however long the link may stay broken.
func TestOtherEndKilled(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		for _, sender := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s sender %v", via, sender), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				recv, cat, _ := transferBegun(t, dir, []string{"--listen", "127.0.0.1:0"}, "--via", via)
				victim, other := recv, cat
				if sender {
					victim, other = cat, recv
				}
				_ = victim.Process.Kill()
				killed := time.Now()
				if got := other.code(t); got != proto.Truncated {
					t.Errorf("the other end ended with %v, want %v: %s", got, proto.Truncated, other.stderr.Bytes())
				}
				took := time.Since(killed)
				t.Logf("noticed in %v", took.Round(10*time.Millisecond))
				if most := 10 * time.Second; took > most && !raceDetector {
					t.Errorf("noticed in %v, want at most %v", took, most)
				}
			})
		}
	}
}

// Beside 2,000 connections that say nothing and 200 that say little, from 20 addresses,
// callers get in within 2 seconds, and the log stays short. On a machine with other work a
// call takes longer with or without strangers: there, these add at most 2 seconds to what
// calls to a listener without strangers take just before and after.
func TestCallersBesideStrangers(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes 2,200 connections too slow")
	}
	const limit = 2 * time.Second
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	to := "127.0.0.1:" + port
	listen := begin(t, dir, nil, "mesh-listen", "-v", "--listen", ":"+port, "--addr", to, "--token-file", "tok", "--max", "50", "--", "cat")
	quiet := begin(t, dir, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "quiet", "--max", "50", "--", "cat")
	await(t, filepath.Join(dir, "tok"))
	await(t, filepath.Join(dir, "quiet"))
	connect := func(i int, say string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%20))}, Timeout: 5 * time.Second}
		c, err := d.Dial("tcp", to)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = io.WriteString(c, say)
	}
	for i := range 2000 {
		connect(i, "")
	}
	for i := range 200 {
		connect(i, "\x16\x03\x01\x02\x00\x01")
	}
	call := func(via, token string) time.Duration {
		began := time.Now()
		call := begin(t, dir, func(c *exec.Cmd) { c.Stdin = strings.NewReader("hello") }, "mesh-cat", "--via", via, "@"+token)
		if got := call.code(t); got != proto.OK {
			t.Errorf("a call to %s over %s ended with %v: %s", token, via, got, call.stderr.Bytes())
		}
		return time.Since(began)
	}
	before := call("tcp", "quiet")
	for i := range 5 {
		via := []string{"tcp", "quic", "auto"}[i%3]
		took := call(via, "tok")
		after := call(via, "quiet")
		usual := max(before, after)
		before = after
		t.Logf("call %d over %s took %v, without strangers %v", i, via, took.Round(time.Millisecond), usual.Round(time.Millisecond))
		if most := limit + max(usual-limit/4, 0); took > most {
			t.Errorf("call %d over %s took %v, want at most %v: without strangers it takes %v", i, via, took, most, usual)
		}
	}
	_ = quiet.Process.Signal(syscall.SIGTERM)
	quiet.code(t)
	_ = listen.Process.Signal(syscall.SIGTERM)
	listen.code(t)
	if got := bytes.Count(listen.stderr.Bytes(), []byte("turned away")); got > 3 {
		t.Errorf("%d lines about strangers, want 3 at most: %.2000s", got, listen.stderr.Bytes())
	}
}
