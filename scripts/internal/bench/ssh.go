//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mesh/scripts/internal/host"
)

const sshCipher = "aes128-gcm@openssh.com"

// sshServer is an sshd for one user, and how to call it: what ssh, rsync and
// scp share.
type sshServer struct {
	*host.SSHD        // nil: there is no sshd
	known      string // what has the host's key
}

// setup finds sshd and makes the keys in dir.
func (s *sshServer) setup(ctx context.Context, dir string) error {
	if err := installed("ssh", "ssh-keygen"); err != nil {
		return err
	}
	sshd, err := host.NewSSHD(ctx, dir)
	if err != nil {
		return err
	}
	s.SSHD, s.known = sshd, filepath.Join(dir, "known_hosts")
	return s.KnowHost(s.known, "bench")
}

// client returns an error if nobody can call s with the program name.
func (s *sshServer) client(name string) error {
	if s.SSHD == nil {
		return errors.New("there is no sshd to call")
	}
	return installed(name)
}

// open starts nothing: it returns an sshd as the receiving end, and the
// settings with which ssh calls it as the host "bench".
func (s *sshServer) open(r run) (e ends, config string, err error) {
	port, err := freePort()
	if err != nil {
		return ends{}, "", err
	}
	server, client := filepath.Join(r.dir, "sshd_config"), filepath.Join(r.dir, "ssh_config")
	err = errors.Join(
		s.Configure(server, "127.0.0.1:"+port, r.dir, "Ciphers "+sshCipher, "Subsystem sftp internal-sftp"), // scp wants it
		write(client,
			"Host bench", "HostName 127.0.0.1", "Port "+port, "User "+s.Login,
			"IdentityFile "+s.UserKey, "IdentitiesOnly yes", "IdentityAgent none",
			"HostKeyAlias bench", "UserKnownHostsFile "+s.known,
			"BatchMode yes", "RequestTTY no", "Compression no", "Ciphers "+sshCipher,
		))
	return ends{
		recv:   exec.Command(s.Path, "-D", "-e", "-f", server),
		ready:  listening(port),
		daemon: true,
		stores: true,
	}, client, err
}

// sshTool lets a command at the other end write the data.
func sshTool(s *sshServer) *tool {
	t := &tool{name: "ssh (aes128-gcm)", setup: s.setup}
	t.open = func(r run) (ends, error) {
		e, config, err := s.open(r)
		command := "cat >" + r.out
		if r.tree != "" {
			command = "tar xC " + r.out
		}
		e.send = func() *exec.Cmd { return exec.Command("ssh", "-F", config, "bench", command) }
		return e, err
	}
	return t
}

func rsyncTool(s *sshServer) *tool {
	t := &tool{name: "rsync -a (ssh)", task: "files"}
	t.setup = func(context.Context, string) error { return s.client("rsync") }
	t.open = func(r run) (ends, error) {
		e, config, err := s.open(r)
		e.walks = true
		e.send = func() *exec.Cmd { return exec.Command("rsync", "-a", "-e", "ssh -F "+config, r.tree, "bench:"+r.out) }
		return e, err
	}
	return t
}

func scpTool(s *sshServer) *tool {
	t := &tool{name: "scp -r", task: "files"}
	t.setup = func(context.Context, string) error { return s.client("scp") }
	t.open = func(r run) (ends, error) {
		e, config, err := s.open(r)
		e.walks = true
		e.send = func() *exec.Cmd { return exec.Command("scp", "-q", "-r", "-F", config, r.tree, "bench:"+r.out) }
		return e, err
	}
	return t
}

// write makes a file of lines.
func write(name string, lines ...string) error {
	return os.WriteFile(name, fmt.Appendln(nil, strings.Join(lines, "\n")), 0o600)
}
