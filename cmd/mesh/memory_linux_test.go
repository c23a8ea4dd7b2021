package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// greed is a way in which the bearer of a token makes a listener hold data. It returns
// when it has made its last connection; the data may still be on its way.
type greed struct {
	name         string
	via          string
	cmd          string // of the listener
	bearers, all int64  // how many there are, and how many in scripts/torture; 0 for none
	act          func(ctx context.Context, via string, tok attacker.Token) error
}

// memoryBound bounds the peak memory of a listener, in KiB, whatever its peers do:
// [proto.BudgetBytes] and half of that for all else. The units of systemd allow more.
const memoryBound = 3 * proto.BudgetBytes / 2 >> 10

// However many bearers of its token make it hold data, and however they do it, a
// listener takes little memory. TestGapsFillMemory and TestUnacknowledgedFillsMemory do
// over TCP, with more links, what only scripts/torture repeats here.
func TestBearersTakeLittleMemory(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("the race detector needs more memory")
	}
	for _, g := range []greed{
		{"data behind a hole", "tcp", "cat >/dev/null", 0, 200, sendBehindHole},
		{"data behind a hole", "quic", "cat >/dev/null", 8, 200, sendBehindHole},
		{"nothing acknowledged", "tcp", "cat /dev/zero", 0, 200, acknowledgeNothing},
		{"nothing acknowledged", "quic", "cat /dev/zero", 8, 200, acknowledgeNothing},
		{"nothing read", "tcp", "cat /dev/zero", 0, 200, readNothing},
		{"nothing read", "quic", "cat /dev/zero", 8, 200, readNothing},
		{"full flows", "tcp", "cat >/dev/null", 0, 20, fillFlows},
		{"full flows", attacker.FarQUIC, "cat >/dev/null", 2, 20, fillFlows},
	} {
		n := torture(t, "TORTURE_BEARERS", g.bearers, g.bearers, g.all)
		if n == 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s over %s", g.name, g.via), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			listen := begin(t, dir, nil, "mesh-listen", "--max", fmt.Sprint(n), "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "sh", "-c", g.cmd)
			tok := tokenIn(t, filepath.Join(dir, "tok"))
			ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
			defer cancel()
			var wg sync.WaitGroup
			var failed atomic.Int64
			for range n {
				wg.Go(func() {
					if err := g.act(ctx, g.via, tok); err != nil {
						failed.Add(1)
						t.Logf("a bearer: %v", err)
					}
				})
			}
			wg.Wait()
			if f := failed.Load(); f > n/2 { // a busy machine loses some
				t.Errorf("%d of %d bearers failed", f, n)
			}
			got := settledPeak(listen)
			t.Logf("torture: %d bearers, %s over %s: peak memory of mesh-listen %d MiB", n, g.name, g.via, got>>10)
			if got > memoryBound {
				t.Errorf("mesh-listen took %d KiB, want at most %d", got, memoryBound)
			}
		})
	}
}

// settledPeak returns the peak memory of a tool in KiB, when it has not grown by a MiB
// for two seconds. A tool that does nothing still grows by some KiB now and then.
func settledPeak(p *aTool) int {
	peak, since := 0, time.Now()
	for tick := time.NewTicker(100 * time.Millisecond); time.Since(since) < 2*time.Second; <-tick.C {
		if now := procStatus(p, "VmHWM"); now > peak+1<<10 {
			peak, since = now, time.Now()
		}
	}
	return procStatus(p, "VmHWM")
}

func sendBehindHole(ctx context.Context, via string, tok attacker.Token) error {
	settings := anyListener()
	l, err := attacker.Call(ctx, via, tok, settings, "send", "")
	if err != nil {
		return err
	}
	if _, err := l.AddFlow(ctx, via, tok, settings, "send"); err != nil { // from then on the order is free
		return err
	}
	if err := l.Meta("pipe"); err != nil {
		return err
	}
	data := make([]byte, 128<<10)
	for at := uint64(1); at < l.Window; at += uint64(len(data)) {
		if err := l.Send(attacker.Chunk(at, data[:min(uint64(len(data)), l.Window-at)])); err != nil {
			return err
		}
	}
	return nil
}

func readNothing(ctx context.Context, via string, tok attacker.Token) error {
	_, err := attacker.Call(ctx, via, tok, anyListener(), "recv", "")
	return err
}

func acknowledgeNothing(ctx context.Context, via string, tok attacker.Token) error {
	l, err := attacker.Call(ctx, via, tok, anyListener(), "recv", "")
	if err == nil {
		go l.Ended()
	}
	return err
}

// fillFlows sends much over each flow, so that the windows of QUIC grow. Then each flow
// sends data that the listener does not read, since it comes over another link too,
// slowly.
func fillFlows(ctx context.Context, via string, tok attacker.Token) error {
	settings := anyListener()
	l, err := attacker.Call(ctx, via, tok, settings, "send", "")
	if err != nil {
		return err
	}
	if err := l.Meta("pipe"); err != nil { // before the flows, which take longer than it may
		return err
	}
	var flows []*attacker.Link
	for range 15 {
		f, err := l.AddFlow(ctx, via, tok, settings, "send")
		if err != nil {
			return err
		}
		flows = append(flows, f)
	}
	var acked atomic.Uint64
	go func() {
		for {
			f, err := l.Receive()
			if err != nil {
				return
			}
			var n uint64
			_, _ = fmt.Sscan(f.Text("bytes"), &n)
			acked.Store(n)
		}
	}()
	data, at := make([]byte, 128<<10), uint64(0)
	for _, f := range flows {
		if via != attacker.FarQUIC { // nothing grows
			break
		}
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
			if at+uint64(len(data)) > acked.Load()+l.Window {
				<-time.After(time.Millisecond)
				continue
			}
			if err := f.Send(attacker.Chunk(at, data)); err != nil {
				return err
			}
			at += uint64(len(data))
		}
	}
	if _, err := l.Write(attacker.Chunk(at, data).Bytes()[:1000]); err != nil {
		return err
	}
	<-time.After(time.Second)
	for _, f := range flows {
		go func() {
			for f.Send(attacker.Chunk(at, data)) == nil {
			}
		}()
	}
	return nil
}
