//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	hostB     = "192.0.2.2" // wanlab's address of host b
	startTime = 10 * time.Second
	stopTime  = 5 * time.Second
)

// lab is a running wanlab.
type lab struct {
	wanlab string
	vars   []string // WAN_…, by which wanlab's other commands find it
	p      *measure.Process
	stdin  io.Closer // of the command that wanlab runs, which ends with it
}

// openLab starts a wanlab with options. It must be ended by close: if it is
// killed, its hosts remain.
func openLab(ctx context.Context, e env, options ...string) (*lab, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	stdin, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	vars, stdout, err := os.Pipe()
	if err != nil {
		hold.Close()
		return nil, err
	}
	defer vars.Close()

	args := append([]string{"run"}, options...)
	cmd := exec.Command(e.wanlab, append(args, "--", self, "hold")...)
	p, err := measure.Start(context.WithoutCancel(ctx), cmd, stdin, stdout)
	stdout.Close()
	if err != nil {
		hold.Close()
		return nil, err
	}
	l := &lab{wanlab: e.wanlab, p: p, stdin: hold}
	vars.SetReadDeadline(time.Now().Add(startTime))
	if err := json.NewDecoder(vars).Decode(&l.vars); err != nil {
		l.stdin.Close()
		p.Stop()
		return nil, fmt.Errorf("wanlab: %w", errors.Join(err, p.Err))
	}
	return l, nil
}

// hold is the command that wanlab runs. It prints the variables of the lab, and
// waits until its stdin ends, because close was called or this program died.
func hold([]string) error {
	vars := []string{}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "WAN_") {
			vars = append(vars, v)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(vars); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// close ends everything that runs on the two hosts, and removes them.
func (l *lab) close() {
	l.stdin.Close()
	select {
	case <-l.p.Done:
	case <-time.After(stopTime):
		l.p.Stop()
	}
}

// on returns a command for the host a or b. Wanlab replaces itself with it, so it
// is one process.
func (l *lab) on(host, name string, args ...string) *exec.Cmd {
	path, err := measure.Find(name)
	if err != nil {
		path = name
	}
	cmd := exec.Command(l.wanlab, append([]string{host, path}, args...)...)
	cmd.Env = append(os.Environ(), l.vars...)
	return cmd
}

// job is a run from host a to host b.
func (l *lab) job(dir string) measure.Job {
	return measure.Job{Dir: dir, Home: dir, Addr: hostB, On: l.on}
}

// ctl changes the path, or asks for its state.
func (l *lab) ctl(ctx context.Context, words ...string) (string, error) {
	cmd := exec.Command(l.wanlab, append([]string{"ctl"}, words...)...)
	cmd.Env = append(os.Environ(), l.vars...)
	return measure.Output(ctx, cmd)
}

// health is how well the emulator kept up, and where packets were lost.
type health struct {
	dropped   int     // packets that the kernel dropped before the emulator read them
	late      float64 // µs, the mean lateness of deliveries, in the worse direction
	full      int     // packets that the emulated queue had no room for
	udp       int     // datagrams that a receiver's socket had no room for
	corrupted int     // packets with a flipped bit
	links     int     // TCP connections that host a has tried
}

func (h health) String() string {
	return fmt.Sprintf("host_drop %d, late %.0f µs, queue drops %d, socket drops %d", h.dropped, h.late, h.full, h.udp)
}

// health reads the counters of the emulator and of the hosts.
func (l *lab) health(ctx context.Context) (h health, err error) {
	type direction struct {
		HostDrop  int     `json:"host_drop"`
		LateAvg   float64 `json:"late_avg_us"`
		DropQueue int     `json:"drop_queue"`
		Corrupted int
	}
	var stats struct{ AB, BA direction }
	text, err := l.ctl(ctx, "stats")
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		return h, err
	}
	h.dropped = stats.AB.HostDrop + stats.BA.HostDrop
	h.late = max(stats.AB.LateAvg, stats.BA.LateAvg)
	h.full = stats.AB.DropQueue + stats.BA.DropQueue
	h.corrupted = stats.AB.Corrupted + stats.BA.Corrupted
	for _, host := range []string{"b", "a"} {
		text, err := measure.Output(ctx, l.on(host, "cat", "/proc/net/snmp"))
		if err != nil {
			return h, err
		}
		h.udp += counter(text, "Udp:", "RcvbufErrors")
		h.links = counter(text, "Tcp:", "ActiveOpens")
	}
	return h, nil
}

// counter returns one counter of /proc/net/snmp, in which each protocol has a line
// of names above a line of numbers.
func counter(snmp, protocol, name string) int {
	var names []string
	for line := range strings.Lines(snmp) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != protocol {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if i := slices.Index(names, name); i >= 0 && i < len(fields) {
			n, _ := strconv.Atoi(fields[i])
			return n
		}
	}
	return 0
}
