//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"mesh/scripts/internal/host"
)

// sshTool is ssh to an sshd with keys and settings of its own, made in dir.
func sshTool(ctx context.Context, dir string) (tool, error) {
	const cipher, port = "aes128-gcm@openssh.com", "2222"
	sshd, err := host.NewSSHD(ctx, dir)
	if err != nil {
		return tool{}, err
	}
	config, known := filepath.Join(dir, "sshd_config"), filepath.Join(dir, "known_hosts")
	err = errors.Join(sshd.KnowHost(known, "wan"),
		sshd.Configure(config, hostB+":"+port, dir, "Ciphers "+cipher, "LoginGraceTime 60"))
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
			recv: func() (*host.Process, error) {
				return host.Start(ctx, l.on("b", sshd.Path, "-D", "-e", "-f", config), nil, nil)
			},
			ready: func(recv *host.Process) bool { return listening(recv, port) },
			send: func(stdin *os.File) (*host.Process, error) {
				return host.Start(ctx, l.on("a", "ssh", "-F", "none", "-T", "-c", cipher, "-p", port, "-i", sshd.UserKey,
					"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "Compression=no",
					"-o", "HostKeyAlias=wan", "-o", "UserKnownHostsFile="+known,
					sshd.Login+"@"+hostB, "exec cat >"+fifo), stdin, nil)
			},
		}, sink, span)
	}
	return tool{"ssh", measure}, nil
}
