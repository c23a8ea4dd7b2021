//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"regexp"

	"mesh/scripts/internal/measure"
)

// Names that the bars refer to.
const (
	nameAlone  = "terminal alone"
	nameUnseen = "headless, no viewer"
)

// tools returns all tools. Each tool of mesh is followed by the same one with the
// binary of --against, if there is one.
func (s settings) tools() []*measure.Tool {
	tools := []*measure.Tool{{Name: nameAlone, Family: "alone", Open: func(j measure.Job) (measure.Ends, error) {
		return measure.Ends{Send: exec.Command("sh", "-c", j.Shell)}, nil
	}}}
	tools = append(tools, s.Tools(func(m measure.Mesh) *measure.Tool {
		return &measure.Tool{Name: nameUnseen, Open: func(j measure.Job) (measure.Ends, error) {
			ends := m.Terminal(j, "")
			ends.Send = nil
			return ends, nil
		}}
	})...)
	for _, via := range []string{"quic", "tcp"} {
		tools = append(tools, s.Tools(func(m measure.Mesh) *measure.Tool {
			return &measure.Tool{Name: "mesh-tty --via " + via, Open: func(j measure.Job) (measure.Ends, error) {
				return m.Terminal(j, "--via "+via+" PEER.control"), nil
			}}
		})...)
	}
	mosh := &measure.Tool{Name: "mosh", Family: "mosh", Open: openMosh, Setup: func(string) error {
		return measure.Need("mosh-server", "mosh-client")
	}}
	return append(tools, (&measure.SSH{}).Tool("ssh"), mosh)
}

// openMosh starts a mosh-server for the mosh-client that is measured, without the
// ssh that usually starts it. It continues in the background until its command
// ends, or no client is there. The client predicts nothing, which is also its
// default where the round trip is short.
func openMosh(j measure.Job) (ends measure.Ends, err error) {
	server := exec.Command("mosh-server", "new", "-i", j.Addr, "-c", "256", "--", "sh", "-c", j.Shell)
	server.Env = append(server.Environ(), "LC_ALL=C.UTF-8", "MOSH_SERVER_NETWORK_TMOUT=10")
	said, err := server.CombinedOutput()
	if err != nil {
		return ends, fmt.Errorf("mosh-server: %w", err)
	}
	words := regexp.MustCompile(`MOSH CONNECT (\d+) (\S+)`).FindSubmatch(said)
	if words == nil {
		return ends, fmt.Errorf("mosh-server printed %q", said)
	}
	ends.Send = exec.Command("mosh-client", j.Addr, string(words[1]))
	ends.Send.Env = append(server.Env, "MOSH_KEY="+string(words[2]), "MOSH_PREDICTION_DISPLAY=never")
	return ends, nil
}
