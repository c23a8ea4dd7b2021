//go:build unix

package main

import (
	"errors"
	"os/exec"
	"path/filepath"

	"mesh/scripts/internal/measure"
)

// tools returns all tools. Each tool of mesh is followed by the same one with the
// binary of --against, if there is one.
func (s settings) tools() (tools []*measure.Tool) {
	for _, line := range [][3]string{
		{"mesh", "mesh-cat PEER", "mesh-recv"},
		{"mesh --via quic", "mesh-cat --via quic PEER", "mesh-recv"},
		{"mesh-recv -o", "mesh-cat PEER", "mesh-recv -o OUT"},
		{"mesh-cat DIR", "mesh-cat PEER TREE", "mesh-recv -C OUT"},
	} {
		tools = append(tools, s.Tools(func(m measure.Mesh) *measure.Tool { return m.Tool(line[0], line[1], line[2]) })...)
	}
	ssh := &measure.SSH{}
	return append(tools, ssh.Tool("ssh (aes128-gcm)"),
		folderTool(ssh, "rsync", "rsync -a (ssh)", func(config string) []string { return []string{"-a", "-e", "ssh -F " + config} }),
		folderTool(ssh, "scp", "scp -r", func(config string) []string { return []string{"-q", "-r", "-F", config} }),
		socatTool(), measure.NC("nc (plain TCP)"))
}

// folderTool is a program that copies a folder through ssh.
func folderTool(s *measure.SSH, program, name string, flags func(config string) []string) *measure.Tool {
	return &measure.Tool{
		Name: name, Family: program, Only: "files",
		Setup: func(dir string) error { return errors.Join(measure.Need(program), s.Setup(dir)) },
		Open: func(j measure.Job) (measure.Ends, error) {
			e, config, err := s.Open(j)
			e.Walks, e.Send = true, j.On("a", program, append(flags(config), j.Tree, "peer:"+j.Out)...)
			return e, err
		},
	}
}

func socatTool() *measure.Tool {
	var cert, key string
	return &measure.Tool{
		Name: "socat (TLS 1.3)", Family: "socat",
		Setup: func(dir string) error {
			if err := measure.Need("socat", "openssl"); err != nil {
				return err
			}
			cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			_, err := measure.Output(exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
				"-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", cert, "-keyout", key))
			return err
		},
		Open: func(j measure.Job) (measure.Ends, error) {
			const options = ",openssl-min-proto-version=TLS1.3"
			port, err := measure.FreePort()
			return measure.Ends{
				Recv: j.On("b", "socat", "-u", "-b131072",
					"OPENSSL-LISTEN:"+port+",bind="+j.Addr+",verify=0,cert="+cert+",key="+key+options, "STDOUT"),
				Ready: measure.Listens(port),
				Send: j.On("a", "socat", "-u", "-b131072", "STDIN",
					"OPENSSL:"+j.Addr+":"+port+",commonname=localhost,cafile="+cert+options),
			}, err
		},
	}
}
