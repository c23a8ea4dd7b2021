package share_test

import (
	"runtime"
	"testing"

	"mesh/pipe/term/share"
)

// A goroutine that unlocks and locks again at once comes after one that waits.
func TestFairMutex(t *testing.T) {
	t.Parallel()
	var lock share.FairMutex
	for i := range 1000 {
		lock.Lock()
		in := false // guarded by lock
		done := make(chan struct{})
		go func() {
			defer close(done)
			lock.Lock()
			defer lock.Unlock()
			in = true
		}()
		for !lock.Waited() {
			runtime.Gosched()
		}
		lock.Unlock()
		lock.Lock()
		got := in
		lock.Unlock()
		<-done
		if !got {
			t.Fatalf("time %d: got the lock before who waited", i)
		}
	}
}
