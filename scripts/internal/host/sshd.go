//go:build unix

package host

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

// SSHD is an sshd with keys of its own, that lets this user in.
type SSHD struct {
	Path  string // it wants to be called by its full path
	Login string
	// HostKey and UserKey are the files of the keys; the public halves end in .pub.
	HostKey, UserKey string
}

// NewSSHD finds sshd, and makes in dir the keys that are not there yet.
func NewSSHD(ctx context.Context, dir string) (*SSHD, error) {
	s := &SSHD{HostKey: filepath.Join(dir, "host"), UserKey: filepath.Join(dir, "user")}
	var err error
	if s.Path, err = exec.LookPath("sshd"); err != nil {
		// sbin is not in everyone's PATH.
		if s.Path, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			return nil, errors.New("sshd is not installed")
		}
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s.Login = me.Username
	if me.Uid == "0" { // where Debian's sshd locks its unprivileged half in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	for _, key := range []string{s.HostKey, s.UserKey} {
		if _, err := os.Stat(key); err == nil {
			continue
		}
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, strings.TrimSpace(string(out)))
		}
	}
	return s, nil
}

// KnowHost writes a known_hosts file that has the host under a name.
func (s *SSHD) KnowHost(file, name string) error {
	key, err := os.ReadFile(s.HostKey + ".pub")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append([]byte(name+" "), key...), 0o600)
}

// Configure writes the settings of an sshd at an address, HOST:PORT, and further
// lines. Who logs in has home as the home folder: the login shell's own start is
// not to be measured too.
func (s *SSHD) Configure(file, address, home string, lines ...string) error {
	return os.WriteFile(file, []byte(strings.Join(append([]string{
		"ListenAddress " + address, "HostKey " + s.HostKey, "AuthorizedKeysFile " + s.UserKey + ".pub",
		"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR",
		"PermitRootLogin prohibit-password", "PasswordAuthentication no",
		"PrintMotd no", "PrintLastLog no", "Compression no", "SetEnv HOME=" + home,
	}, append(lines, "")...), "\n")), 0o600)
}
