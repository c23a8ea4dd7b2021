//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

const sshCipher = "aes128-gcm@openssh.com"

// sshServer is an sshd for one user, and how to call it: what ssh, rsync and
// scp share.
type sshServer struct {
	sshd, login string
	dir         string // holds the keys; empty: there is no sshd
}

// setup finds sshd and makes the keys in dir.
func (s *sshServer) setup(ctx context.Context, dir string) error {
	if err := installed("ssh", "ssh-keygen"); err != nil {
		return err
	}
	var err error
	if s.sshd, err = exec.LookPath("sshd"); err != nil {
		// sshd wants to be called by its full path, and sbin is not in everyone's PATH.
		if s.sshd, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			return errors.New("sshd is not installed")
		}
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	s.login = me.Username
	if me.Uid == "0" { // where Debian's sshd locks its unprivileged half in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	for _, key := range []string{"host", "user"} {
		err := output(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
		if err != nil {
			return err
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return err
	}
	s.dir = dir
	return os.WriteFile(filepath.Join(dir, "known_hosts"), append([]byte("bench "), host...), 0o600)
}

// client returns an error if nobody can call s with the program name.
func (s *sshServer) client(name string) error {
	if s.dir == "" {
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
		write(server,
			"ListenAddress 127.0.0.1:"+port,
			"HostKey "+filepath.Join(s.dir, "host"),
			"AuthorizedKeysFile "+filepath.Join(s.dir, "user.pub"),
			"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR",
			"PermitRootLogin prohibit-password", "PasswordAuthentication no",
			"PrintMotd no", "PrintLastLog no", "Compression no", "Ciphers "+sshCipher,
			"Subsystem sftp internal-sftp", // scp
			"SetEnv HOME="+r.dir,           // or the login shell's own start is measured too
		),
		write(client,
			"Host bench", "HostName 127.0.0.1", "Port "+port, "User "+s.login,
			"IdentityFile "+filepath.Join(s.dir, "user"), "IdentitiesOnly yes", "IdentityAgent none",
			"HostKeyAlias bench", "UserKnownHostsFile "+filepath.Join(s.dir, "known_hosts"),
			"BatchMode yes", "RequestTTY no", "Compression no", "Ciphers "+sshCipher,
		))
	return ends{
		recv:   exec.Command(s.sshd, "-D", "-e", "-f", server),
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
