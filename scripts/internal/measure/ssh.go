//go:build unix

package measure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// sshCipher is the fastest cipher of OpenSSH on processors with AES instructions.
const sshCipher = "aes128-gcm@openssh.com"

// SSH is an sshd with keys of its own that accepts the current user, and its
// clients: what ssh, rsync and scp share.
type SSH struct {
	path             string // sshd must be called by its full path
	login            string
	hostKey, userKey string // files of the keys; the public halves end in .pub
	knownHosts       string
}

// Setup finds sshd and ssh and makes, in dir, keys that do not exist yet.
func (s *SSH) Setup(ctx context.Context, dir string) error {
	if s.path != "" {
		return nil
	}
	if err := Need("ssh", "ssh-keygen", "sshd"); err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	if me.Uid == "0" { // Debian's sshd, started by root, needs it for privilege separation
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	s.login, s.knownHosts = me.Username, filepath.Join(dir, "known_hosts")
	s.hostKey, s.userKey = filepath.Join(dir, "host"), filepath.Join(dir, "user")
	for _, key := range []string{s.hostKey, s.userKey} {
		if _, err := os.Stat(key); err == nil {
			continue
		}
		if _, err := Output(ctx, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)); err != nil {
			return err
		}
	}
	key, err := os.ReadFile(s.hostKey + ".pub")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.knownHosts, append([]byte("peer "), key...), 0o600); err != nil {
		return err
	}
	s.path, err = Find("sshd")
	return err
}

// Open returns an sshd as the receiving end of a job, and the file of settings
// with which ssh -F calls it as the host "peer". The caller sets Send.
func (s *SSH) Open(j Job) (e Ends, config string, err error) {
	port, err := FreePort()
	if err != nil {
		return e, "", err
	}
	server, config := filepath.Join(j.Dir, "sshd_config"), filepath.Join(j.Dir, "ssh_config")
	err = writeLines(server,
		"ListenAddress "+j.Addr+":"+port, "HostKey "+s.hostKey, "AuthorizedKeysFile "+s.userKey+".pub",
		"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR", "LoginGraceTime 60",
		"PermitRootLogin prohibit-password", "PasswordAuthentication no", "PrintMotd no", "PrintLastLog no",
		"Compression no", "Ciphers "+sshCipher, "Subsystem sftp internal-sftp", // scp needs sftp
		"SetEnv HOME="+j.Dir) // without the files that a login shell would read
	if err != nil {
		return e, "", err
	}
	err = writeLines(config,
		"Host peer", "HostName "+j.Addr, "Port "+port, "User "+s.login,
		"IdentityFile "+s.userKey, "IdentitiesOnly yes", "IdentityAgent none",
		"HostKeyAlias peer", "UserKnownHostsFile "+s.knownHosts,
		"BatchMode yes", "LogLevel ERROR", "Compression no", "Ciphers "+sshCipher)
	return Ends{
		Recv:   j.On("b", s.path, "-D", "-e", "-f", server),
		Ready:  func(recv *Process) bool { return Listens(recv, port) },
		Daemon: true, Stores: true,
	}, config, err
}

// Tool returns ssh with a command at the other end that writes the data.
func (s *SSH) Tool(name string) *Tool {
	return &Tool{Name: name, Setup: s.Setup, Open: func(j Job) (Ends, error) {
		e, config, err := s.Open(j)
		command := "exec cat >" + j.Out
		if j.Tree != "" {
			command = "exec tar xC " + j.Out
		}
		e.Send = j.On("a", "ssh", "-T", "-F", config, "peer", command)
		return e, err
	}}
}

func writeLines(name string, lines ...string) error {
	return os.WriteFile(name, fmt.Appendln(nil, strings.Join(lines, "\n")), 0o600)
}
