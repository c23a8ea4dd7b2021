package files

import (
	"sync/atomic"

	"mesh/pipe/files/disk"
	"mesh/proto/wire"
)

// Progress is how far a transfer has come, for displays. It may be read while the transfer
// runs.
type Progress struct {
	// Done is the bytes of the files that were sent, that the receiver had already, or
	// that it refused. Total is the bytes of all files; until Known is true there may be
	// more.
	Done, Total atomic.Int64
	Known       atomic.Bool
}

// add adds to Done. A nil Progress counts nothing.
func (p *Progress) add(n int64) {
	if p != nil {
		p.Done.Add(n)
	}
}

// announce adds a file that the sender has announced to Total, unless that is known.
func (p *Progress) announce(n int64) {
	if p != nil && !p.Known.Load() {
		p.Total.Add(n)
	}
}

// setTotal notes what the sender says of all files.
func (p *Progress) setTotal(n int64) {
	if p != nil {
		p.Total.Store(n)
		p.Known.Store(true)
	}
}

// complete notes that all files have been announced.
func (p *Progress) complete() {
	if p != nil {
		p.Known.Store(true)
	}
}

// minCountOpen is how many files a process must be able to open to count beside sending.
const minCountOpen = 256

// counter counts the bytes of all files beside the transfer: when somebody looks here, or
// the receiver asks for it.
type counter struct {
	o       SendOptions
	again   func(SendOptions) (finder, error) // finds all files once more
	stopped atomic.Bool
	done    chan struct{} // closed when the count has ended; nil before it begins
	asked   bool          // the receiver waits for the sum
}

// start begins to count, if that has not begun.
func (c *counter) start() {
	if c.done != nil || disk.MaxOpen() < minCountOpen {
		return
	}
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		c.count()
	}()
}

// count finds all files once more and adds up their bytes, until the transfer ends.
func (c *counter) count() {
	o := c.o
	o.Excluded = nil
	find, err := c.again(o)
	if err != nil {
		return // the sender has the same error, or goes on without a total
	}
	defer find.close()
	sum := summer{o: c.o}
	sum.o.Holes = false // their bytes count where they are skipped too
	for it := find.next(); it != nil; it = find.next() {
		if c.stopped.Load() {
			return
		}
		if it.err == nil {
			c.o.Progress.Total.Add(sum.bytesOf(it))
		}
	}
	c.o.Progress.Known.Store(true)
}

// stop ends the count with the transfer.
func (c *counter) stop() {
	c.stopped.Store(true)
	if c.done != nil {
		<-c.done
	}
}

// ask notes that the receiver waits for the sum.
func (c *counter) ask() {
	c.asked = true
	c.start()
}

// tell sends the sum to a receiver that waits for it, once it is known.
func (c *counter) tell(w *frameWriter) error {
	if !c.asked || !c.o.Progress.Known.Load() {
		return nil
	}
	c.asked = false
	return w.writeMessage(&wire.Count{Bytes: max(c.o.Progress.Total.Load(), 0)})
}

// counting has the reader count for a receiver.
func (f *frameReader) counting(o ReceiveOptions) *frameReader {
	f.progress, f.toAsk = o.Progress, o.Progress != nil && o.Counts
	return f
}

// asks reports whether the next answer is to ask for a FILES_COUNT: the first one does, if
// somebody looks.
func (f *frameReader) asks() bool {
	if !f.toAsk {
		return false
	}
	f.toAsk, f.asked = false, true
	return true
}
