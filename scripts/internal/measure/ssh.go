//go:build unix

package measure

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// sshCipher is the fastest cipher of OpenSSH on processors with AES instructions.
const sshCipher = "aes128-gcm@openssh.com"

// SSH is an sshd with a key of its own, which is also the only key that it accepts
// for the current user, and its clients: what ssh, rsync and scp share.
type SSH struct {
	path  string // sshd must be called by its full path
	login string
	key   string // a file; the public half ends in .pub
}

// Setup finds sshd and makes the key in dir, if that has not been done.
func (s *SSH) Setup(dir string) error {
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
	_ = os.MkdirAll("/run/sshd", 0o755) // needed by Debian's sshd if root starts it, and only root can make it
	s.login, s.key = me.Username, filepath.Join(dir, "key")
	if _, err := Output(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.key)); err != nil {
		return err
	}
	s.path, err = exec.LookPath("sshd")
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
		"ListenAddress "+j.Addr+":"+port, "HostKey "+s.key, "AuthorizedKeysFile "+s.key+".pub",
		"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR", "LoginGraceTime 60",
		"PermitRootLogin prohibit-password", "PasswordAuthentication no", "PrintMotd no", "PrintLastLog no",
		"Compression no", "Ciphers "+sshCipher, "Subsystem sftp internal-sftp", // scp needs sftp
		"SetEnv HOME="+j.Dir) // without the files that a login shell would read
	if err != nil {
		return e, "", err
	}
	err = writeLines(config,
		"Host peer", "HostName "+j.Addr, "Port "+port, "User "+s.login,
		"IdentityFile "+s.key, "IdentitiesOnly yes", "IdentityAgent none",
		"StrictHostKeyChecking no", "UserKnownHostsFile /dev/null",
		"BatchMode yes", "LogLevel ERROR", "Compression no", "Ciphers "+sshCipher)
	return Ends{Recv: j.On("b", s.path, "-D", "-e", "-f", server), Ready: Listens(port), Daemon: true, Stores: true}, config, err
}

// Tool returns ssh with a command at the other end: one on a terminal, or one that
// writes the data.
func (s *SSH) Tool(name string) *Tool {
	return &Tool{Name: name, Family: "ssh", Setup: s.Setup, Open: func(j Job) (Ends, error) {
		e, config, err := s.Open(j)
		switch {
		case j.Shell != "":
			e.Send = j.On("a", "ssh", "-F", config, "-tt", "-e", "none", "peer", j.Shell)
		case j.Tree != "":
			e.Send = j.On("a", "ssh", "-T", "-F", config, "peer", "exec tar xf - -C "+j.Out)
		default:
			e.Send = j.On("a", "ssh", "-T", "-F", config, "peer", "exec cat >"+j.Out)
		}
		return e, err
	}}
}

func writeLines(name string, lines ...string) error {
	return os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}
