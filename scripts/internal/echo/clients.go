//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	"mesh/scripts/internal/measure"
)

// Names that the bars refer to.
const (
	nameAlone  = "terminal alone"
	nameUnseen = "headless, no viewer"
)

// pick returns the requested tools. Each tool of mesh is followed by the same one
// with the binary of --against, if there is one.
func (s settings) pick(binaries []measure.Mesh) (tools []*tool) {
	tools = append(tools, &tool{name: nameAlone, family: "alone", open: openAlone})
	for i := range 3 {
		for _, m := range binaries {
			t := []*tool{
				{name: m.Label(nameUnseen), open: openUnseen(m), speedOnly: true},
				{name: m.Label("mesh-tty --via quic"), open: openMesh(m, "quic"), openSlow: openMeshSlow(m)},
				{name: m.Label("mesh-tty --via tcp"), open: openMesh(m, "tcp")},
			}[i]
			t.family, t.compared = "mesh", m.Compared()
			if t.compared {
				tools[len(tools)-1].against = t
			}
			tools = append(tools, t)
		}
	}
	tools = append(tools, &tool{name: "ssh", family: "ssh", open: openSSH}, &tool{name: "mosh", family: "mosh", open: openMosh})
	return slices.DeleteFunc(tools, func(t *tool) bool { return !slices.Contains(s.tools, t.family) })
}

func openAlone(_ context.Context, _ measure.Job, child string) (client, error) {
	return client{command: []string{"sh", "-c", child}, close: func() {}}, nil
}

// share starts mesh-tty --share of the child and waits for its token.
func share(ctx context.Context, m measure.Mesh, j measure.Job, flags, child string) (*measure.Process, error) {
	line := "mesh-tty --share --headless --control --size 80x24 --token-file TOKEN " + flags + " --"
	p, err := measure.Start(ctx, m.Command(j, "b", line, "sh", "-c", child), nil, nil)
	if err != nil {
		return nil, err
	}
	if err := p.Await(ctx, func() bool { return measure.Exists(j.Token() + ".control")(p) }); err != nil {
		p.Stop()
		return nil, fmt.Errorf("mesh-tty --share: %w", err)
	}
	return p, nil
}

func openUnseen(m measure.Mesh) opener {
	return func(ctx context.Context, j measure.Job, child string) (client, error) {
		p, err := share(ctx, m, j, "--listen HOST:0", child)
		if err != nil {
			return client{}, err
		}
		return client{close: p.Stop}, nil
	}
}

// view is the client of a shared terminal.
func view(m measure.Mesh, j measure.Job, via string, stop func()) client {
	cmd := m.Command(j, "a", "mesh-tty --via "+via+" PEER.control")
	return client{command: cmd.Args, env: cmd.Env, close: stop}
}

func openMesh(m measure.Mesh, via string) opener {
	return func(ctx context.Context, j measure.Job, child string) (client, error) {
		p, err := share(ctx, m, j, "--listen HOST:0", child)
		if err != nil {
			return client{}, err
		}
		return view(m, j, via, p.Stop), nil
	}
}

// openMeshSlow connects the two ends through a relay of 100 kB/s.
func openMeshSlow(m measure.Mesh) opener {
	return func(ctx context.Context, j measure.Job, child string) (client, error) {
		port, err := measure.FreePort()
		if err != nil {
			return client{}, err
		}
		r, err := startRelay(j.Addr + ":" + port)
		if err != nil {
			return client{}, err
		}
		p, err := share(ctx, m, j, "--listen HOST:"+port+" --addr "+r.addr(), child)
		if err != nil {
			r.close()
			return client{}, err
		}
		return view(m, j, "quic", func() { p.Stop(); r.close() }), nil
	}
}

// openSSH starts an sshd for the ssh that is measured.
func openSSH(ctx context.Context, j measure.Job, child string) (client, error) {
	s := &measure.SSH{}
	if err := s.Setup(ctx, j.Dir); err != nil {
		return client{}, err
	}
	e, config, err := s.Open(j)
	if err != nil {
		return client{}, err
	}
	p, err := measure.Start(ctx, e.Recv, nil, nil)
	if err != nil {
		return client{}, err
	}
	if err := p.Await(ctx, func() bool { return e.Ready(p) }); err != nil {
		p.Stop()
		return client{}, fmt.Errorf("sshd: %w", err)
	}
	return client{command: []string{"ssh", "-F", config, "-tt", "-e", "none", "peer", child}, close: p.Stop}, nil
}

// openMosh starts a mosh-server for the mosh-client that is measured, without the
// ssh that usually starts it. The client predicts nothing, which is also its
// default where the round trip is short.
func openMosh(ctx context.Context, _ measure.Job, child string) (client, error) {
	if err := measure.Need("mosh-server", "mosh-client"); err != nil {
		return client{}, err
	}
	env := []string{"LC_ALL=C.UTF-8"}
	cmd := exec.CommandContext(ctx, "mosh-server", "new", "-i", "127.0.0.1", "-c", "256", "--", "sh", "-c", child)
	cmd.Env = append(cmd.Environ(), env...)
	said, err := cmd.CombinedOutput() // it continues in the background
	if err != nil {
		return client{}, fmt.Errorf("mosh-server: %w", err)
	}
	words := regexp.MustCompile(`(?s)MOSH CONNECT (\d+) (\S+).*detached, pid = (\d+)`).FindSubmatch(said)
	if words == nil {
		return client{}, fmt.Errorf("mosh-server printed %q", said)
	}
	pid, err := strconv.Atoi(string(words[3]))
	if err != nil {
		return client{}, err
	}
	return client{
		command: []string{"mosh-client", "127.0.0.1", string(words[1])},
		env:     append(env, "MOSH_KEY="+string(words[2]), "MOSH_PREDICTION_DISPLAY=never"),
		close:   func() { _ = syscall.Kill(pid, syscall.SIGTERM) },
	}, nil
}
