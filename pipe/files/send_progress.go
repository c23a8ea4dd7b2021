package files

import (
	"sync/atomic"

	"mesh/pipe/files/disk"
)

// Progress is how far a sender has come, for displays. It may be read while the transfer
// runs.
type Progress struct {
	// Done is the bytes of the files that were sent, that the receiver had already, or
	// that it refused. Total is the bytes of all files; they are still being counted
	// until Known is true.
	Done, Total atomic.Int64
	Known       atomic.Bool
}

// add adds to Done. A nil Progress counts nothing.
func (p *Progress) add(n int64) {
	if p != nil {
		p.Done.Add(n)
	}
}

// minCountOpen is how many files a process must be able to open to count beside sending.
const minCountOpen = 256

// count sums up what a finder finds until stop is true, and closes it.
func (p *Progress) count(find finder, o SendOptions, stop *atomic.Bool) {
	defer find.close()
	sum := summer{o: o}
	sum.o.Holes = false // their bytes count where they are skipped too
	for it := find.next(); it != nil; it = find.next() {
		if stop.Load() {
			return
		}
		if it.err == nil {
			p.Total.Add(sum.bytesOf(it))
		}
	}
	p.Known.Store(true)
}

// startCounting counts the bytes of all files beside the transfer, if somebody looks. Call
// stop at its end.
func startCounting(o SendOptions, newFinder func(SendOptions) (finder, error)) (stop func()) {
	if o.Progress == nil || disk.MaxOpen() < minCountOpen {
		return func() {}
	}
	o.Excluded = nil
	find, err := newFinder(o)
	if err != nil {
		return func() {} // the sender has the same error, or goes on without a total
	}
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Progress.count(find, o, &stopped)
	}()
	return func() {
		stopped.Store(true)
		<-done
	}
}
