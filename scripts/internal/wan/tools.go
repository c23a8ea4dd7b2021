//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"mesh/scripts/internal/measure"
)

// tool is one way to move bytes from host a to host b.
type tool struct {
	name    string
	mesh    bool   // the binary under test
	against string // the name of the same tool with the binary of --against, or empty
	measure func(ctx context.Context, l *lab, dir string, span time.Duration) (goodput, error)
}

// pick finds the tools of the matrix. Each tool of mesh is followed by the same
// one with the binary of --against, if there is one.
func (g *grid) pick(ctx context.Context, e env) error {
	for _, name := range g.names {
		switch name {
		case "mesh", "tcp", "quic":
			for _, m := range e.binaries {
				t := meshTool(m, name)
				if m.Compared() {
					g.tools[len(g.tools)-1].against = t.name
				}
				g.tools = append(g.tools, t)
			}
		case "ssh":
			ssh := &measure.SSH{}
			if err := ssh.Setup(ctx, e.dir); err != nil {
				return err
			}
			g.tools = append(g.tools, tool{name: name, measure: piped(ssh.Tool(name))})
		case "iperf3":
			g.tools = append(g.tools, tool{name: name, measure: iperf})
		default:
			return measure.UsageError{Err: fmt.Errorf("--tools: unknown tool %q", name)}
		}
	}
	return nil
}

func meshTool(m measure.Mesh, name string) tool {
	via := name
	if name == "mesh" {
		via = "auto"
	}
	send := piped(m.Tool(name, "mesh-cat --events EVENTS --via "+via+" PEER", "mesh-recv"))
	return tool{name: m.Label(name), mesh: !m.Compared(), measure: func(ctx context.Context, l *lab, dir string, span time.Duration) (goodput, error) {
		g, err := send(ctx, l, dir, span)
		if via == "auto" {
			g.via = l.job(dir).Via()
		}
		return g, err
	}}
}

// piped measures a tool that is fed from a pipe and writes to a named pipe.
func piped(t *measure.Tool) func(context.Context, *lab, string, time.Duration) (goodput, error) {
	return func(ctx context.Context, l *lab, dir string, span time.Duration) (goodput, error) {
		job := l.job(dir)
		job.Out = filepath.Join(dir, "sink")
		sink, err := makeSink(job.Out)
		if err != nil {
			return goodput{}, err
		}
		defer sink.Close()
		ends, err := t.Open(job)
		if err != nil {
			return goodput{}, err
		}
		return pump(ctx, ends, job.Out, sink, span)
	}
}

// iperf measures one TCP stream without encryption.
func iperf(ctx context.Context, l *lab, dir string, span time.Duration) (g goodput, err error) {
	const port = "5201"
	ctx, cancel := context.WithTimeout(ctx, firstTimeout+2*span)
	defer cancel()
	report, err := os.Create(filepath.Join(dir, "report"))
	if err != nil {
		return g, err
	}
	defer report.Close()
	server, err := measure.Start(ctx, l.on("b", "iperf3", "-s", "-1", "-J", "-i", "0.5", "-p", port), nil, report)
	if err != nil {
		return g, err
	}
	defer server.Stop()
	if err := server.Await(ctx, func() bool { return measure.Listens(server, port) }); err != nil {
		return g, fmt.Errorf("iperf3 -s: %w", err)
	}
	// A second more, because the server counts from the connection on.
	seconds := strconv.Itoa(int(span.Seconds()) + 1)
	client, err := measure.Start(ctx, l.on("a", "iperf3", "-c", hostB, "-p", port, "-t", seconds, "-J"), nil, nil)
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
}

// iperfGoodput reads the report of an iperf3 server, from the first interval with
// data on.
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
		return g, errors.New("iperf3: no data arrived")
	}
	return g, nil
}
