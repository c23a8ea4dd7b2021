//go:build linux

package main

import (
	"bytes"
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

	"mesh/scripts/internal/host"
)

const (
	hostA = "192.0.2.1" // what wanlab calls its hosts
	hostB = "192.0.2.2"
)

// lab is a running wanlab.
type lab struct {
	wanlab string
	vars   []string // WAN_…, which make wanlab's other commands find it
	p      *host.Process
	hold   io.Closer // the standard input of the command that wanlab runs
}

// openLab starts a wanlab with options. It must be ended by close: killed, it
// would leave its hosts behind.
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
	told, tell, err := os.Pipe()
	if err != nil {
		hold.Close()
		return nil, err
	}
	defer told.Close()

	args := append([]string{"run"}, options...)
	cmd := exec.Command(e.wanlab, append(args, "--", self, "hold")...)
	p, err := host.Start(context.WithoutCancel(ctx), cmd, stdin, tell)
	tell.Close()
	if err != nil {
		hold.Close()
		return nil, err
	}
	l := &lab{wanlab: e.wanlab, p: p, hold: hold}
	told.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := json.NewDecoder(told).Decode(&l.vars); err != nil {
		l.hold.Close()
		p.Stop()
		return nil, fmt.Errorf("wanlab: %w", errors.Join(err, p.Err))
	}
	return l, nil
}

// hold is the command that wanlab runs: it tells where the lab is and stays
// until its standard input ends, by our will or our death.
func hold() {
	vars := []string{}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "WAN_") {
			vars = append(vars, v)
		}
	}
	json.NewEncoder(os.Stdout).Encode(vars)
	io.Copy(io.Discard, os.Stdin)
}

// close ends all that runs on the two hosts, and removes them.
func (l *lab) close() {
	l.hold.Close()
	select {
	case <-l.p.Done:
	case <-time.After(5 * time.Second):
		l.p.Stop()
	}
}

// on returns a command for the host a or b. It is one process: what is started
// becomes the program.
func (l *lab) on(host, name string, args ...string) *exec.Cmd {
	path, err := program(name)
	if err != nil {
		path = name
	}
	cmd := exec.Command(l.wanlab, append([]string{host, path}, args...)...)
	cmd.Env = append(os.Environ(), l.vars...)
	return cmd
}

// output runs a command of a few seconds on a host and returns its stdout.
func (l *lab) output(ctx context.Context, host, name string, args ...string) (string, error) {
	return output(ctx, l.on(host, name, args...))
}

// ctl changes or asks the path.
func (l *lab) ctl(ctx context.Context, words ...string) (string, error) {
	cmd := exec.Command(l.wanlab, append([]string{"ctl"}, words...)...)
	cmd.Env = append(os.Environ(), l.vars...)
	return output(ctx, cmd)
}

// health tells whether the emulator kept up.
type health struct {
	dropped int     // packets that the kernel dropped before the emulator saw them
	late    float64 // µs, the mean delay of deliveries, the worse direction
	full    int     // packets that the emulated queue had no place for
	udp     int     // datagrams that a receiver's socket had no room for
}

func (h health) String() string {
	return fmt.Sprintf("host_drop %d, late %.0f µs, queue drops %d, socket drops %d", h.dropped, h.late, h.full, h.udp)
}

// health asks for it.
func (l *lab) health(ctx context.Context) (h health, err error) {
	type direction struct {
		HostDrop  int     `json:"host_drop"`
		LateAvg   float64 `json:"late_avg_us"`
		DropQueue int     `json:"drop_queue"`
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
	for _, host := range []string{"a", "b"} {
		text, err := l.output(ctx, host, "cat", "/proc/net/snmp")
		if err != nil {
			return h, err
		}
		h.udp += counter(text, "Udp:", "RcvbufErrors")
	}
	return h, nil
}

// counter reads one out of /proc/net/snmp, where a line of names stands above
// one of numbers.
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

// output runs cmd, which takes a few seconds at most, and returns its stdout.
func output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	cmd.Stdout = &out
	p, err := host.Start(ctx, cmd, nil, nil)
	if err != nil {
		return "", err
	}
	if err := p.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return out.String(), nil
}
