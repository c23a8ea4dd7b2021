//go:build linux

package main

import (
	"context"
	"path/filepath"
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

// toolNames are the names for --tools.
var toolNames = []string{"mesh", "tcp", "quic", "ssh", "nc"}

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
		case "nc":
			nc := measure.NC(name)
			if err := nc.Setup(ctx, e.dir); err != nil {
				return err
			}
			g.tools = append(g.tools, tool{name: name, measure: piped(nc)})
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
