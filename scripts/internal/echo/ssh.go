//go:build unix

package main

import (
	"context"
	"net"
	"path/filepath"

	"mesh/scripts/internal/host"
)

// sshTTY is an sshd of our own, and ssh that calls it.
func sshTTY(ctx context.Context, dir, child string) (session, error) {
	sshd, err := host.NewSSHD(ctx, dir)
	if err != nil {
		return session{}, err
	}
	port, err := freePort()
	if err != nil {
		return session{}, err
	}
	config := filepath.Join(dir, "sshd_config")
	if err := sshd.Configure(config, "127.0.0.1:"+port, dir); err != nil {
		return session{}, err
	}
	stop, err := begin(ctx, nil, sshd.Path, "-D", "-e", "-f", config)
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
		"ssh", "-F", "none", "-tt", "-e", "none", "-p", port, "-i", sshd.UserKey,
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "BatchMode=yes", sshd.Login + "@127.0.0.1", child,
	}, close: stop}, nil
}
