//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/scripts/internal/measure"
)

// ticksPerSecond is the unit of CPU time in /proc, which is the same on all of Linux's
// architectures.
const ticksPerSecond = 100

// hubProcess is a hub that runs.
type hubProcess struct {
	*measure.Process
	url hub.URL
}

// start starts the hub of a tool. All members may log in.
func (s *hubSettings) start(ctx context.Context, t *measure.Tool, m *members, env ...string) (*hubProcess, error) {
	dir, err := os.MkdirTemp(s.Dir, "hub-")
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "hub")
	err = errors.Join(os.Mkdir(home, 0o700), os.WriteFile(filepath.Join(home, "hub_access"), m.access(), 0o600))
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	ends, err := t.Open(measure.LocalJob(dir))
	if err != nil {
		return nil, err
	}
	ends.Recv.Env = append(ends.Recv.Env, env...)
	h := &hubProcess{}
	h.Process, err = measure.StartReady(ctx, ends.Recv, out, func(*measure.Process) bool {
		line, _ := os.ReadFile(out.Name())
		text, whole := strings.CutSuffix(string(line), "\n")
		u, bad := hub.ParseURL(strings.TrimPrefix(text, "mesh-hub join "))
		h.url = u
		return whole && bad == nil
	})
	return h, err
}

// cpu returns the CPU time of the hub so far, in seconds.
func (h *hubProcess) cpu() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.Cmd.Process.Pid))
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return float64(user+system) / ticksPerSecond
}

// memory returns the resident memory of the hub, in KiB.
func (h *hubProcess) memory() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.Cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return float64(kib)
}

// members are the keys of the nodes that may log in: those of idle agents, and those that
// have sessions.
type members struct{ alone, paired []*identity.Key }

func newMembers(alone, paired int) (*members, error) {
	m := &members{}
	for i := range alone + paired {
		k, err := identity.NewKey()
		if err != nil {
			return nil, err
		}
		if i < alone {
			m.alone = append(m.alone, k)
		} else {
			m.paired = append(m.paired, k)
		}
	}
	return m, nil
}

// access returns a file hub_access with all members.
func (m *members) access() []byte {
	var b bytes.Buffer
	for _, keys := range [][]*identity.Key{m.alone, m.paired} {
		for _, k := range keys {
			fmt.Fprintf(&b, "member %s\n", k.ID())
		}
	}
	return b.Bytes()
}

// options returns those of the i-th member, which has an address of its own: a hub limits
// the strangers of one address.
func options(u hub.URL, k *identity.Key, i int) agent.Options {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+i>>16), byte(i>>8), byte(i))}}
	return agent.Options{URL: u, Key: k, Instance: hub.NewID(), Agent: "bench", DialContext: d.DialContext}
}

// crowd are agents that do nothing but stay logged in.
type crowd struct {
	agents []*agent.Agent
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ctx    context.Context // of the agents; ends with stop
	count  atomic.Int64    // are logged in
	failed atomic.Int64    // attempts
	news   chan struct{}   // has an element after a change of count

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// idle returns a crowd that has not begun to log in.
func (m *members) idle(ctx context.Context, u hub.URL) *crowd {
	c := &crowd{news: make(chan struct{}, 1), conns: make(map[net.Conn]bool)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	for i, k := range m.alone {
		o := options(u, k, i+1)
		dial := o.DialContext
		o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return c.keep(conn), nil
		}
		c.agents = append(c.agents, agent.New(o))
	}
	return c
}

// keep remembers a connection, to cut it.
func (c *crowd) keep(conn net.Conn) net.Conn {
	kept := &keptConn{Conn: conn, crowd: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns[kept] = true
	return kept
}

type keptConn struct {
	net.Conn
	crowd *crowd
}

// Close implements [net.Conn].
func (k *keptConn) Close() error {
	k.crowd.mu.Lock()
	delete(k.crowd.conns, k)
	k.crowd.mu.Unlock()
	return k.Conn.Close()
}

// logIn starts all agents, at most loginsAtOnce at a time, and waits until they are logged
// in.
func (c *crowd) logIn(ctx context.Context) error {
	slots := make(chan struct{}, loginsAtOnce)
	for _, a := range c.agents {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		first, up := true, false // OnState is called by the agent's own goroutine
		a.OnState = func(err error) {
			switch {
			case err == nil && first:
				first = false
				<-slots
				fallthrough
			case err == nil:
				up = true
				c.count.Add(1)
			case up:
				up = false
				c.count.Add(-1)
			default:
				c.failed.Add(1)
			}
			select {
			case c.news <- struct{}{}:
			default:
			}
		}
		c.wg.Go(func() { a.Run(c.ctx) })
	}
	_, err := c.all(ctx)
	return err
}

func (c *crowd) online() int { return int(c.count.Load()) }

// all waits until all agents are logged in, and returns how long that took.
func (c *crowd) all(ctx context.Context) (time.Duration, error) {
	began, timeout := time.Now(), time.After(limit)
	for c.online() < len(c.agents) {
		select {
		case <-c.news:
		case <-timeout:
			return 0, fmt.Errorf("only %d of %d are logged in after %v", c.online(), len(c.agents), limit)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return time.Since(began), nil
}

// cut cuts all connections at once. It returns how long it takes until all agents are
// back, and how many of their attempts failed.
func (c *crowd) cut(ctx context.Context) (back time.Duration, failed int64, err error) {
	c.mu.Lock()
	var conns []net.Conn
	for conn := range c.conns {
		conns = append(conns, conn)
	}
	c.mu.Unlock()
	c.failed.Store(0)
	began := time.Now()
	for _, conn := range conns {
		_ = conn.Close()
	}
	for c.online() == len(c.agents) {
		select {
		case <-c.news:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	_, err = c.all(ctx)
	return time.Since(began), c.failed.Load(), err
}

func (c *crowd) stop() {
	c.cancel()
	c.wg.Wait()
}
