//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// sshTTY is an sshd of our own, and ssh that calls it.
func sshTTY(ctx context.Context, dir, child string) (session, error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		if sshd, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			return session{}, errors.New("sshd is not installed")
		}
	}
	me, err := user.Current()
	if err != nil {
		return session{}, err
	}
	if me.Uid == "0" { // where Debian's sshd locks its unprivileged half in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return session{}, err
		}
	}
	for _, key := range []string{"host", "user"} {
		name := filepath.Join(dir, key)
		if _, err := os.Stat(name); err == nil {
			continue
		}
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name).CombinedOutput(); err != nil {
			return session{}, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	port, err := freePort()
	if err != nil {
		return session{}, err
	}
	config := filepath.Join(dir, "sshd_config")
	err = os.WriteFile(config, []byte(strings.Join([]string{
		"ListenAddress 127.0.0.1:" + port, "HostKey " + filepath.Join(dir, "host"), "AuthorizedKeysFile " + filepath.Join(dir, "user.pub"),
		"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR", "PermitRootLogin prohibit-password",
		"PasswordAuthentication no", "PrintMotd no", "PrintLastLog no", "SetEnv HOME=" + dir, "",
	}, "\n")), 0o600)
	if err != nil {
		return session{}, err
	}
	stop, err := begin(ctx, nil, sshd, "-D", "-e", "-f", config)
	if err != nil {
		return session{}, err
	}
	if err := wait("sshd", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}); err != nil {
		stop()
		return session{}, err
	}
	return session{command: []string{
		"ssh", "-F", "none", "-tt", "-e", "none", "-p", port, "-i", filepath.Join(dir, "user"),
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "BatchMode=yes", me.Username + "@127.0.0.1", child,
	}, close: stop}, nil
}
