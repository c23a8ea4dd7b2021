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
	return client{Cmd: exec.Command("sh", "-c", child)}, nil
}

func openUnseen(m measure.Mesh) opener {
	return func(ctx context.Context, j measure.Job, child string) (client, error) {
		p, err := m.Share(ctx, j, "--listen HOST:0", "sh", "-c", child)
		return client{server: p}, err
	}
}

func openMesh(m measure.Mesh, via string) opener {
	return func(ctx context.Context, j measure.Job, child string) (client, error) {
		p, err := m.Share(ctx, j, "--listen HOST:0", "sh", "-c", child)
		return client{Cmd: m.Command(j, "a", "mesh-tty --via "+via+" PEER.control"), server: p}, err
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
		p, err := m.Share(ctx, j, "--listen HOST:"+port+" --addr "+r.addr(), "sh", "-c", child)
		return client{Cmd: m.Command(j, "a", "mesh-tty --via quic PEER.control"), server: p, close: r.close}, err
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
	p, err := measure.StartReady(ctx, e.Recv, nil, e.Ready)
	return client{Cmd: j.On("a", "ssh", "-F", config, "-tt", "-e", "none", "peer", child), server: p}, err
}

// openMosh starts a mosh-server for the mosh-client that is measured, without the
// ssh that usually starts it. The client predicts nothing, which is also its
// default where the round trip is short.
func openMosh(ctx context.Context, _ measure.Job, child string) (client, error) {
	if err := measure.Need("mosh-server", "mosh-client"); err != nil {
		return client{}, err
	}
	cmd := exec.CommandContext(ctx, "mosh-server", "new", "-i", "127.0.0.1", "-c", "256", "--", "sh", "-c", child)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8")
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
	view := exec.Command("mosh-client", "127.0.0.1", string(words[1]))
	view.Env = append(cmd.Env, "MOSH_KEY="+string(words[2]), "MOSH_PREDICTION_DISPLAY=never")
	return client{Cmd: view, close: func() { _ = syscall.Kill(pid, syscall.SIGTERM) }}, nil
}
