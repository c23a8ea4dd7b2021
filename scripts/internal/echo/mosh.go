//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
)

// moshTTY is a mosh-server and the mosh-client that calls it, without the ssh that
// begins a session elsewhere. The client shows what comes back and guesses nothing:
// its default is the same where the round trip is short.
func moshTTY(ctx context.Context, _, child string) (session, error) {
	env := []string{"LC_ALL=C.UTF-8"}
	cmd := exec.CommandContext(ctx, "mosh-server", "new", "-i", "127.0.0.1", "-c", "256", "--", "sh", "-c", child)
	cmd.Env = append(cmd.Environ(), env...)
	said, err := cmd.CombinedOutput() // it detaches itself
	if err != nil {
		return session{}, fmt.Errorf("mosh-server: %w", err)
	}
	words := regexp.MustCompile(`(?s)MOSH CONNECT (\d+) (\S+).*detached, pid = (\d+)`).FindSubmatch(said)
	if words == nil {
		return session{}, fmt.Errorf("mosh-server said %q", said)
	}
	pid, err := strconv.Atoi(string(words[3]))
	if err != nil {
		return session{}, err
	}
	return session{
		command: []string{"mosh-client", "127.0.0.1", string(words[1])},
		env:     append(env, "MOSH_KEY="+string(words[2]), "MOSH_PREDICTION_DISPLAY=never"),
		close:   func() { _ = syscall.Kill(pid, syscall.SIGTERM) },
	}, nil
}
