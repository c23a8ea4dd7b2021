package files

import (
	"sync"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// maxBatchBytes bounds what the small files of a batch hold together.
const maxBatchBytes = 4 * proto.SmallFileBytes

// writerCount is how many batches are written at once, while the receiver and
// the commit go on.
const writerCount = 2

// writers are goroutines that write small files to temporary ones, a batch each.
type writers struct {
	files   *disk.SmallWriter
	batches chan *batch // sent and closed by the receiver
	spare   chan []byte // data of batches that have been written
	wg      sync.WaitGroup
}

func (w *writers) start(files *disk.SmallWriter) {
	w.files = files
	w.batches = make(chan *batch, writerCount)
	w.spare = make(chan []byte, writerCount)
	for range writerCount {
		w.wg.Go(w.writeBatches)
	}
}

// stop waits for the writers. Nothing may be written after it.
func (w *writers) stop() {
	close(w.batches)
	w.wg.Wait()
}

// takeBuffer returns an empty buffer for the data of a batch.
func (w *writers) takeBuffer() []byte {
	select {
	case b := <-w.spare:
		return b[:0]
	default:
		return make([]byte, 0, maxBatchBytes)
	}
}

// writeBatch hands a batch to a writer if it has files to write. It blocks while the
// writers have enough to do.
func (w *writers) writeBatch(b *batch) {
	if b.data != nil {
		b.written = make(chan struct{})
		w.batches <- b
	}
}

func (w *writers) writeBatches() {
	for b := range w.batches {
		for _, j := range b.jobs {
			if j.part != nil && j.part.body != nil {
				w.writePart(j.part)
			}
		}
		select {
		case w.spare <- b.data:
		default:
		}
		b.data = nil
		close(b.written)
	}
}

func (w *writers) writePart(p *part) {
	mtime := p.entry.Mtime
	if !p.folder.takesTime(mtime) {
		mtime = time.Now().UnixNano()
	}
	temp, err := w.files.Write(p.folder.disk, p.tempName, modeOf(p.entry), mtime, p.body)
	if err == nil {
		p.temp = temp
	}
	p.writeErr, p.body = err, nil
}
