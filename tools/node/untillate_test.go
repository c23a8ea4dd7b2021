package node_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mesh/tools/node"
)

// The token stands for a code when the hub says nothing for 2 seconds, and after 10 in any
// case: a hub far away, as by way of a satellite, is waited for.
func TestUntilLate(t *testing.T) {
	t.Parallel()
	const step = 100 * time.Millisecond
	for _, tt := range []struct {
		name    string
		every   time.Duration // between two answers
		answers int
		want    time.Duration
	}{
		{"a hub that says nothing", step, 0, 2 * time.Second},
		{"a near hub that gives no code", step, 5, 5*step + 2*time.Second},
		{"a satellite", 600 * time.Millisecond, 5, 5 * time.Second},
		{"two of them", 1200 * time.Millisecond, 5, 8 * time.Second},
		{"a silence that is just too long", 2*time.Second + step, 5, 2 * time.Second},
		{"a hub that answers without end", step, 1000, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			heard := make(chan struct{}, 1)
			go func() {
				for range tt.answers {
					select {
					case <-time.After(tt.every):
						node.Signal(heard)
					case <-ctx.Done():
						return
					}
				}
			}()
			began := time.Now()
			<-node.UntilLate(ctx, heard)
			if got := time.Since(began); got != tt.want {
				t.Errorf("%s: late after %v, want %v", tt.name, got, tt.want)
			}
			cancel()
			synctest.Wait()
		})
	}
}
