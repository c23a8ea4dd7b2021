//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"mesh/pipe/term/vt"
	"mesh/scripts/internal/measure"
)

const (
	floodTime = 2 * time.Second        // the least duration of a flood
	exitTime  = 300 * time.Millisecond // for a client to show the end
)

// What is measured: milliseconds of a key, and bytes a second.
const (
	idle  = "idle"
	flood = "flood"
	speed = "speed"
)

// visit opens a terminal whose command is idle or prints a flood, presses keys, and
// ends the command.
func (s settings) visit(ctx context.Context, t *measure.Tool, what string) error {
	dir, err := os.MkdirTemp(s.Dir, "visit-")
	if err != nil {
		return err
	}
	job, result := measure.LocalJob(dir), filepath.Join(dir, "speed")
	job.Shell = fmt.Sprintf("stty raw -echo; exec %s child %s %s", measure.Self(), what, result)
	ends, err := t.Open(job)
	if err != nil || ends.Send == nil && what == idle {
		return err
	}
	if ends.Recv != nil {
		server, err := measure.StartReady(ctx, ends.Recv, nil, ends.Ready)
		if err != nil {
			return err
		}
		defer server.Stop()
		if ends.Send == nil {
			time.Sleep(floodTime)
			server.Stop()
		}
	}
	if ends.Send != nil {
		if err := s.pressKeys(ctx, t, what, ends.Send); err != nil {
			return err
		}
	}
	n, err := readSpeed(ctx, result)
	if what == flood && err == nil {
		t.Add(speed, n)
	}
	return err
}

// readSpeed waits for the figure that the child writes at its end.
func readSpeed(ctx context.Context, file string) (float64, error) {
	for end := time.Now().Add(measure.ScreenTimeout); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(file)
		if n, err := strconv.ParseFloat(string(text), 64); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("the child did not report its speed")
}

// pressKeys starts the client, waits until the child has printed, presses keys,
// slowly as a person does, and ends the child.
func (s settings) pressKeys(ctx context.Context, t *measure.Tool, what string, client *exec.Cmd) error {
	screen, err := measure.OpenScreen(client)
	if err != nil {
		return err
	}
	defer screen.Close()
	if err := screen.Await(ctx, "output", measure.Contains("y")); err != nil { // of "ready", or of the flood
		return err
	}
	opened := time.Now()
	for i := range s.keys {
		key := string(rune('a' + i%26))
		begun := time.Now()
		if err := screen.Press(key); err != nil {
			return err
		}
		inCorner := func(t *vt.Terminal) bool { return t.Line(0)[0].Text == key }
		if err := screen.Await(ctx, "the key "+key, inCorner); err != nil {
			return err
		}
		t.Add(what, measure.MS(time.Since(begun)))
		time.Sleep(time.Duration(20+rand.IntN(20)) * time.Millisecond)
	}
	time.Sleep(floodTime - time.Since(opened))
	err = screen.Press(string(rune(keyEnd)))
	time.Sleep(exitTime)
	return err
}
