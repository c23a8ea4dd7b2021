//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// sshTool is ssh to an sshd with keys and settings of its own, made in dir.
func sshTool(ctx context.Context, dir string) (tool, error) {
	const cipher, port = "aes128-gcm@openssh.com", "2222"
	sshd, err := program("sshd") // wants to be called by its full path
	if err != nil {
		return tool{}, err
	}
	me, err := user.Current()
	if err != nil {
		return tool{}, err
	}
	// Where Debian's sshd locks its unprivileged half in.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return tool{}, err
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, key := range []string{"host", "user"} {
		if _, err := output(ctx, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path(key))); err != nil {
			return tool{}, err
		}
	}
	host, err := os.ReadFile(path("host.pub"))
	if err != nil {
		return tool{}, err
	}
	if err := os.WriteFile(path("known_hosts"), append([]byte("wan "), host...), 0o600); err != nil {
		return tool{}, err
	}
	err = os.WriteFile(path("sshd_config"), []byte(strings.Join([]string{
		"ListenAddress " + hostB + ":" + port,
		"HostKey " + path("host"), "AuthorizedKeysFile " + path("user.pub"),
		"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR",
		"PermitRootLogin prohibit-password", "PasswordAuthentication no",
		"PrintMotd no", "PrintLastLog no", "Compression no", "Ciphers " + cipher,
		"LoginGraceTime 60", "SetEnv HOME=" + dir, "", // or the login shell's own start is measured too
	}, "\n")), 0o600)
	if err != nil {
		return tool{}, err
	}

	measure := func(ctx context.Context, l *lab, dir string, span time.Duration) (goodput, error) {
		fifo, sink, err := makeSink(dir)
		if err != nil {
			return goodput{}, err
		}
		defer sink.Close()
		return pump(ctx, ends{
			recv: func() (*process, error) {
				return start(ctx, l.on("b", sshd, "-D", "-e", "-f", path("sshd_config")), nil, nil)
			},
			ready: func(recv *process) bool { return listening(recv, port) },
			send: func(stdin *os.File) (*process, error) {
				return start(ctx, l.on("a", "ssh", "-F", "none", "-T", "-c", cipher, "-p", port, "-i", path("user"),
					"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "Compression=no",
					"-o", "HostKeyAlias=wan", "-o", "UserKnownHostsFile="+path("known_hosts"),
					me.Username+"@"+hostB, "exec cat >"+fifo), stdin, nil)
			},
		}, sink, span)
	}
	return tool{"ssh", measure}, nil
}
