//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	shortBytes = 1 << 10
	shortLimit = 30 * time.Second
)

// short is one short message from host a to host b.
type short struct {
	first time.Duration // from mesh-cat's start to the first byte at the receiver's stdout
	wall  time.Duration // from mesh-cat's start to the exit of both ends
	via   string        // of the sender's receipt
}

// sendShort sends a short message.
func sendShort(ctx context.Context, e env, m measure.Mesh, l *lab, via string) (s short, err error) {
	dir, err := e.runDir()
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, shortLimit, errors.New("not done in "+shortLimit.String()))
	defer cancel()
	t, err := startTransfer(ctx, m, l.job(dir), shortBytes, "--via "+via, "")
	if err != nil {
		return s, err
	}
	if err := t.end(ctx); err != nil {
		return s, err
	}
	return short{first: t.seen.times[0], wall: t.wall(), via: t.job.Via()}, nil
}
