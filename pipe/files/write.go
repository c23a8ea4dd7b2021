package files

import (
	"sync"

	"mesh/proto"
)

// handful is what is handed over to the store at a time.
type handful struct {
	jobs    []job
	data    []byte        // of the files that are to be written
	written chan struct{} // closed by a writer; nil if nothing is to be written
}

// wait waits until all its files are written, or can't be.
func (h *handful) wait() {
	if h.written != nil {
		<-h.written
	}
}

// handBytes is how much the files of a handful hold at most.
const handBytes = 4 * proto.SmallFileBytes

// writerCount is how many handfuls are written at once, so that the receiver and
// the store can go on meanwhile.
const writerCount = 2

// writers write small files, a handful each.
type writers struct {
	base  *folder
	bare  func() bool   // whether files can be without a name at first
	work  chan *handful // sent and closed by the receiver
	spare chan []byte   // data of handfuls that have been written
	wg    sync.WaitGroup
}

// start starts them; probe is a name of ours that is free in a folder.
func (w *writers) start(in *folder, probe string) {
	w.base = in
	w.bare = sync.OnceValue(func() bool { return canNameless(in.root, probe) })
	w.work = make(chan *handful, writerCount)
	w.spare = make(chan []byte, writerCount)
	for range writerCount {
		w.wg.Go(w.run)
	}
}

// stop waits for them. They take nothing more.
func (w *writers) stop() {
	close(w.work)
	w.wg.Wait()
}

// buffer returns room for the data of a handful.
func (w *writers) buffer() []byte {
	select {
	case b := <-w.spare:
		return b[:0]
	default:
		return make([]byte, 0, handBytes)
	}
}

// take takes a handful, if there is something to write, and waits while there is
// too much of that.
func (w *writers) take(h *handful) {
	if h.data != nil {
		h.written = make(chan struct{})
		w.work <- h
	}
}

func (w *writers) run() {
	for h := range w.work {
		for _, j := range h.jobs {
			if p := j.part; p != nil && p.body != nil {
				p.unwritten = w.write(p)
				p.body = nil
			}
		}
		select {
		case w.spare <- h.data:
		default:
		}
		h.data = nil
		close(h.written)
	}
}

// write writes a file, if that can be without a name.
func (w *writers) write(p *part) (err error) {
	root, perm, mtime := p.folder.root, modeOf(p.entry), p.entry.Mtime
	if w.bare() && sameDisk(p.folder.found, w.base.found) && mayNameless() {
		p.bare, err = writeNameless(root, perm, mtime, p.body)
		return err
	}
	return writeNew(root, p.temp, perm, mtime, p.body)
}
