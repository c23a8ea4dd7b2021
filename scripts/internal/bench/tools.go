//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"mesh/scripts/internal/measure"
)

// families are the names for --tools.
var families = []string{"mesh", "ssh", "rsync", "scp", "socat", "nc"}

// tool is a tool with its results.
type tool struct {
	*measure.Tool
	family  string
	dir     string // for what outlives a run: keys, the nodes' homes
	results map[string][]result
	failed  error

	compared bool  // has the binary of --against
	against  *tool // the same command lines with that binary, or nil
}

// available returns the tools of the families that can be measured here, set up,
// and for the others the reasons why not.
func available(ctx context.Context, dir string, binaries []measure.Mesh, chosen []string) (tools []*tool, missing []string) {
	ssh := &measure.SSH{}
	all := []*tool{
		{family: "ssh", Tool: ssh.Tool("ssh (aes128-gcm)")},
		{family: "rsync", Tool: rsyncTool(ssh)},
		{family: "scp", Tool: scpTool(ssh)},
		{family: "socat", Tool: socatTool()},
		{family: "nc", Tool: measure.NC("nc (plain TCP)")},
	}
	all = append(meshTools(binaries), all...)
	for _, t := range all {
		if !slices.Contains(chosen, t.family) {
			continue
		}
		t.dir = filepath.Join(dir, "of-"+strings.Fields(t.Name)[0])
		t.results = map[string][]result{}
		if err := t.setup(ctx); err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", t.Name, err))
			continue
		}
		tools = append(tools, t)
	}
	return tools, missing
}

// meshTools returns the command lines that are measured of mesh, each followed by
// the same one of the binary of --against, if there is one.
func meshTools(binaries []measure.Mesh) (tools []*tool) {
	for _, line := range [][3]string{
		{"mesh", "mesh-cat PEER", "mesh-recv"},
		{"mesh --via quic", "mesh-cat --via quic PEER", "mesh-recv"},
		{"mesh-recv -o", "mesh-cat PEER", "mesh-recv -o OUT"},
		{"mesh-cat DIR", "mesh-cat PEER TREE", "mesh-recv -C OUT"},
	} {
		for _, m := range binaries {
			t := &tool{family: "mesh", Tool: m.Tool(line[0], line[1], line[2]), compared: m.Compared()}
			if t.compared {
				tools[len(tools)-1].against = t
			}
			tools = append(tools, t)
		}
	}
	return tools
}

// find returns the tool whose name begins with word, or one without results.
func find(tools []*tool, word string) *tool {
	for _, t := range tools {
		if strings.HasPrefix(t.Name, word) {
			return t
		}
	}
	return &tool{}
}

// does reports whether t takes part in k.
func (t *tool) does(k task) bool { return t.Only == "" || t.Only == k.name }

// measure runs k once and keeps the result, unless t has failed before. A task
// with a check leaves no result.
func (t *tool) measure(ctx context.Context, r *runner, k task) {
	if t.failed != nil || !t.does(k) || ctx.Err() != nil {
		return
	}
	res, err := r.run(ctx, t, k)
	switch {
	case err != nil:
		t.failed = fmt.Errorf("%s: %s: %w", t.Name, k.title, err)
		measure.Say("error: %v", t.failed)
		delete(t.results, k.name) // the median of fewer runs would mislead
	case k.check == nil:
		t.results[k.name] = append(t.results[k.name], res)
	}
}

func rsyncTool(s *measure.SSH) *measure.Tool {
	return folderTool(s, "rsync -a (ssh)", "rsync", func(j measure.Job, config string) *exec.Cmd {
		return j.On("a", "rsync", "-a", "-e", "ssh -F "+config, j.Tree, "peer:"+j.Out)
	})
}

func scpTool(s *measure.SSH) *measure.Tool {
	return folderTool(s, "scp -r", "scp", func(j measure.Job, config string) *exec.Cmd {
		return j.On("a", "scp", "-q", "-r", "-F", config, j.Tree, "peer:"+j.Out)
	})
}

// folderTool is a program that copies a folder through ssh.
func folderTool(s *measure.SSH, name, program string, send func(j measure.Job, config string) *exec.Cmd) *measure.Tool {
	return &measure.Tool{
		Name: name, Only: "files",
		Setup: func(ctx context.Context, dir string) error {
			return errors.Join(measure.Need(program), s.Setup(ctx, dir))
		},
		Open: func(j measure.Job) (measure.Ends, error) {
			e, config, err := s.Open(j)
			e.Walks, e.Send = true, send(j, config)
			return e, err
		},
	}
}

func socatTool() *measure.Tool {
	var cert, key string
	return &measure.Tool{
		Name: "socat (TLS 1.3)",
		Setup: func(ctx context.Context, dir string) error {
			if err := measure.Need("socat", "openssl"); err != nil {
				return err
			}
			cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			_, err := measure.Output(ctx, exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
				"-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", cert, "-keyout", key))
			return err
		},
		Open: func(j measure.Job) (measure.Ends, error) {
			const options = ",openssl-min-proto-version=TLS1.3"
			port, err := measure.FreePort()
			return measure.Ends{
				Recv: j.On("b", "socat", "-u", "-b131072",
					"OPENSSL-LISTEN:"+port+",bind="+j.Addr+",verify=0,cert="+cert+",key="+key+options, "STDOUT"),
				Ready: func(recv *measure.Process) bool { return measure.Listens(recv, port) },
				Send: j.On("a", "socat", "-u", "-b131072", "STDIN",
					"OPENSSL:"+j.Addr+":"+port+",commonname=localhost,cafile="+cert+options),
			}, err
		},
	}
}
