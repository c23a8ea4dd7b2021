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
	"syscall"
	"time"

	"mesh/pipe/term/vt"
	"mesh/scripts/internal/measure"
)

const (
	slowRuns  = 5                      // floods that are ended over a slow link in each round
	floodTime = 2 * time.Second        // the least duration of a flood
	exitTime  = 300 * time.Millisecond // for a client to show the end
)

// tool is one way to reach a terminal, with its results.
type tool struct {
	name, family   string
	open, openSlow opener // openSlow is nil if the slow link is not measured
	speedOnly      bool   // there is no client: only the flood's speed is measured

	compared bool  // has the binary of --against
	against  *tool // the same with that binary, or nil

	idle, flooded, slow measure.Figures // milliseconds
	speed               measure.Figures // of the flood, in bytes a second
	failed              error
}

// opener starts what must run before the client: it ends with the client. The
// child is a command line for a shell.
type opener func(ctx context.Context, j measure.Job, child string) (client, error)

// client is a client that is not yet started. Without a command, the terminal has
// no viewer.
type client struct {
	*exec.Cmd
	server *measure.Process // nil if there is none
	close  func()           // ends what else the opener has started; may be nil
}

// stop ends what the opener has started.
func (c client) stop() {
	if c.server != nil {
		c.server.Stop()
	}
	if c.close != nil {
		c.close()
	}
}

// measure does one round.
func (t *tool) measure(ctx context.Context, keys int, parent string) error {
	dir, err := os.MkdirTemp(parent, "round-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	speed := filepath.Join(dir, "speed")
	child := fmt.Sprintf("stty raw -echo; exec %s child %s", self, speed)
	press := func(into *measure.Figures) func(*measure.Screen) error {
		return func(screen *measure.Screen) error { return pressKeys(ctx, screen, keys, into) }
	}
	if !t.speedOnly {
		if err := visit(ctx, dir, t.open, child, press(&t.idle)); err != nil {
			return err
		}
	}
	_ = os.Remove(speed)
	if err := visit(ctx, dir, t.open, child+" flood", press(&t.flooded)); err != nil {
		return err
	}
	n, err := readSpeed(ctx, speed)
	if err != nil {
		return err
	}
	t.speed = append(t.speed, n)
	if t.openSlow == nil {
		return nil
	}
	for range slowRuns {
		if err := visit(ctx, dir, t.openSlow, child+" flood", func(screen *measure.Screen) error {
			time.Sleep(floodTime)
			return pressKey(ctx, screen, keyStop, shownStop, &t.slow)
		}); err != nil {
			return err
		}
	}
	return nil
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

// visit opens a client, waits until the child has printed, lets act press keys,
// and ends the child.
func visit(ctx context.Context, parent string, open opener, child string, act func(*measure.Screen) error) error {
	dir, err := os.MkdirTemp(parent, "visit-")
	if err != nil {
		return err
	}
	c, err := open(ctx, measure.LocalJob(dir), child)
	defer c.stop()
	if err != nil {
		return err
	}
	if c.Cmd == nil {
		time.Sleep(floodTime)
		return nil
	}
	screen, err := measure.OpenScreen(c.Cmd)
	if err != nil {
		return err
	}
	defer screen.Close()
	if err := screen.Await(ctx, "output", measure.Contains("y")); err != nil { // of "ready", or of the flood
		return err
	}
	begun := time.Now()
	if err := act(screen); err != nil {
		return err
	}
	time.Sleep(floodTime - time.Since(begun))
	err = screen.Press(string(rune(keyEnd)))
	time.Sleep(exitTime)
	_ = syscall.Kill(screen.Pid(), syscall.SIGTERM) // does nothing if the client has ended
	return err
}

// pressKeys presses n keys, slowly as a person does.
func pressKeys(ctx context.Context, screen *measure.Screen, n int, took *measure.Figures) error {
	for i := range n {
		key := byte('a' + i%26)
		if err := pressKey(ctx, screen, key, key, took); err != nil {
			return err
		}
		time.Sleep(time.Duration(20+rand.IntN(20)) * time.Millisecond)
	}
	return nil
}

// pressKey presses a key, and adds the milliseconds until the corner shows it.
func pressKey(ctx context.Context, screen *measure.Screen, key, shown byte, took *measure.Figures) error {
	begun := time.Now()
	if err := screen.Press(string(rune(key))); err != nil {
		return err
	}
	err := screen.Await(ctx, "the key "+string(rune(shown)), func(t *vt.Terminal) bool {
		return t.Line(0)[0].Text == string(rune(shown))
	})
	*took = append(*took, measure.MS(time.Since(begun)))
	return err
}
