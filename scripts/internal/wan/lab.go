//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	e     env
	vars  []string // WAN_…, by which wanlab's other commands find it
	p     *measure.Process
	stdin io.Closer // of the command that wanlab runs, which ends with it
}

// openLab starts a wanlab with options. It must be ended by close: if it is
// killed, its hosts remain. It ends as well if this program dies, because that
// ends the stdin of the command that wanlab runs.
func openLab(ctx context.Context, e env, options ...string) (*lab, error) {
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
	cmd := exec.Command(e.wanlab, append(args, "--", "sh", "-c", "env | grep ^WAN_; echo; exec cat")...)
	p, err := measure.Start(context.WithoutCancel(ctx), cmd, stdin, stdout)
	stdout.Close()
	if err != nil {
		hold.Close()
		return nil, err
	}
	l := &lab{e: e, p: p, stdin: hold}
	vars.SetReadDeadline(time.Now().Add(startTime))
	for lines := bufio.NewScanner(vars); lines.Scan() && lines.Text() != ""; {
		l.vars = append(l.vars, lines.Text())
	}
	if l.vars == nil {
		l.close()
		return nil, fmt.Errorf("wanlab does not start: %w", p.Err)
	}
	return l, nil
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
	if path, err := exec.LookPath(name); err == nil {
		name = path
	}
	return l.wanlab(append([]string{host, name}, args...)...)
}

func (l *lab) wanlab(args ...string) *exec.Cmd {
	cmd := exec.Command(l.e.wanlab, args...)
	cmd.Env = append(os.Environ(), l.vars...)
	return cmd
}

// ctl changes the path.
func (l *lab) ctl(words ...string) error {
	_, err := measure.Output(l.wanlab(append([]string{"ctl"}, words...)...))
	return err
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

// trusted reports whether the emulator kept up.
func (h health) trusted() bool { return h.dropped == 0 && h.late <= maxLate }

func (h health) String() string {
	return fmt.Sprintf("host_drop %d, late %.0f µs, queue drops %d, socket drops %d", h.dropped, h.late, h.full, h.udp)
}

// health reads the counters of the emulator and of the hosts.
func (l *lab) health() (h health, err error) {
	type direction struct {
		HostDrop  int     `json:"host_drop"`
		LateAvg   float64 `json:"late_avg_us"`
		DropQueue int     `json:"drop_queue"`
		Corrupted int
	}
	type counters struct {
		Kernel struct{ UDPRcvbufErrors, TCPActiveOpens int }
	}
	var path struct{ AB, BA direction }
	var a, b counters
	err = errors.Join(
		decode(l.wanlab("ctl", "stats"), &path),
		decode(l.on("a", "nstat", "-asz", "--json", "UdpRcvbufErrors", "TcpActiveOpens"), &a),
		decode(l.on("b", "nstat", "-asz", "--json", "UdpRcvbufErrors", "TcpActiveOpens"), &b))
	return health{
		dropped:   path.AB.HostDrop + path.BA.HostDrop,
		late:      max(path.AB.LateAvg, path.BA.LateAvg),
		full:      path.AB.DropQueue + path.BA.DropQueue,
		corrupted: path.AB.Corrupted + path.BA.Corrupted,
		udp:       a.Kernel.UDPRcvbufErrors + b.Kernel.UDPRcvbufErrors,
		links:     a.Kernel.TCPActiveOpens,
	}, err
}

// decode runs cmd and decodes the JSON that it prints.
func decode(cmd *exec.Cmd, to any) error {
	text, err := measure.Output(cmd)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), to)
}
