//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/host"
)

// tool is one way to move bytes from host a to host b.
type tool struct {
	name    string
	measure func(ctx context.Context, l *lab, dir string, span time.Duration) (goodput, error)
}

// meshTool is mesh-cat, with more arguments, into mesh-recv.
func meshTool(e env, name string, args ...string) tool {
	return tool{name, func(ctx context.Context, l *lab, dir string, span time.Duration) (goodput, error) {
		path, sink, err := makeSink(dir)
		if err != nil {
			return goodput{}, err
		}
		defer sink.Close()
		m := meshEnds{e: e, l: l, dir: dir, send: append([]string{"--events", filepath.Join(dir, "events")}, args...)}
		g, err := pump(ctx, ends{
			recv: func() (*host.Process, error) {
				out, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					return nil, err
				}
				defer out.Close()
				return m.startRecv(ctx, out)
			},
			ready: func(*host.Process) bool { return m.ready() },
			send:  func(stdin *os.File) (*host.Process, error) { return m.startSend(ctx, stdin) },
		}, sink, span)
		for _, said := range readEvents(filepath.Join(dir, "events")) {
			if said.Via != "" && args == nil {
				g.via = said.Via
			}
		}
		return g, err
	}}
}

// meshEnds are mesh-recv on host b and mesh-cat on host a.
type meshEnds struct {
	e          env
	l          *lab
	dir        string   // of this run alone: the token, the nodes' homes, events
	recv, send []string // more arguments
}

func (m meshEnds) token() string { return filepath.Join(m.dir, "token") }

func (m meshEnds) ready() bool {
	_, err := os.Stat(m.token())
	return err == nil
}

func (m meshEnds) startRecv(ctx context.Context, stdout *os.File) (*host.Process, error) {
	args := append(slices.Clone(m.recv), "--listen", hostB+":0", "--token-file", m.token())
	return host.Start(ctx, m.command("b", "mesh-recv", args), nil, stdout)
}

func (m meshEnds) startSend(ctx context.Context, stdin *os.File) (*host.Process, error) {
	return host.Start(ctx, m.command("a", "mesh-cat", append(slices.Clone(m.send), "@"+m.token())), stdin, nil)
}

func (m meshEnds) command(host, name string, args []string) *exec.Cmd {
	cmd := m.l.on(host, filepath.Join(m.e.mesh, name), args...)
	cmd.Env = append(cmd.Env, "MESH_HOME="+filepath.Join(m.dir, host))
	return cmd
}

// iperfTool is one TCP stream without encryption.
func iperfTool() tool {
	return tool{"iperf3", func(ctx context.Context, l *lab, dir string, span time.Duration) (g goodput, err error) {
		const port = "5201"
		ctx, cancel := context.WithTimeout(ctx, firstTimeout+2*span)
		defer cancel()
		report, err := os.Create(filepath.Join(dir, "report"))
		if err != nil {
			return g, err
		}
		defer report.Close()
		server, err := host.Start(ctx, l.on("b", "iperf3", "-s", "-1", "-J", "-i", "0.5", "-p", port), nil, report)
		if err != nil {
			return g, err
		}
		defer server.Stop()
		if err := server.Await(ctx, func() bool { return listening(server, port) }); err != nil {
			return g, fmt.Errorf("iperf3 -s: %w", err)
		}
		// A second more, because the server counts from when it is called.
		seconds := strconv.Itoa(int(span.Seconds()) + 1)
		client, err := host.Start(ctx, l.on("a", "iperf3", "-c", hostB, "-p", port, "-t", seconds, "-J"), nil, nil)
		if err != nil {
			return g, err
		}
		defer client.Stop()
		select {
		case <-server.Done:
		case <-ctx.Done():
			return g, errors.New("iperf3 -s did not end")
		}
		if server.Err != nil {
			return g, fmt.Errorf("iperf3 -s: %w", server.Err)
		}
		data, err := os.ReadFile(report.Name())
		if err != nil {
			return g, err
		}
		return iperfGoodput(data, span)
	}}
}

// iperfGoodput reads the server's report, from the first interval in which
// something came.
func iperfGoodput(report []byte, span time.Duration) (g goodput, err error) {
	var r struct {
		Intervals []struct {
			Sum struct {
				Start, End float64
				Bytes      float64
			}
		}
	}
	if err := json.Unmarshal(report, &r); err != nil {
		return g, err
	}
	begin := -1.0
	for _, i := range r.Intervals {
		if begin < 0 && i.Sum.Bytes > 0 {
			begin = i.Sum.Start
		}
		middle := (i.Sum.Start+i.Sum.End)/2 - begin
		if begin < 0 || middle > span.Seconds() {
			continue
		}
		g.whole += i.Sum.Bytes * 8 / span.Seconds()
		if middle > span.Seconds()/2 {
			g.steady += i.Sum.Bytes * 8 / (span / 2).Seconds()
		}
	}
	if begin < 0 {
		return g, errors.New("iperf3: nothing came")
	}
	return g, nil
}

// listening tells whether someone listens on a TCP port where p runs, without
// calling there. It is written for any address, v4 or v6.
func listening(p *host.Process, port string) bool {
	n, _ := strconv.ParseUint(port, 10, 16)
	local := fmt.Sprintf(":%04X ", n)
	for _, name := range []string{"tcp", "tcp6"} {
		table, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.Cmd.Process.Pid, name))
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, local) && strings.Contains(line, ":0000 0A ") {
				return true
			}
		}
	}
	return false
}
