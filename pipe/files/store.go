package files

import (
	"sync"

	"mesh/pipe/files/disk"
)

// store publishes what the receiver hands to it, in that order. It works in three
// stages that run at once:
//
//	receiver: add        -> batches of up to 64 jobs
//	writers:  write      -> the small files of a batch are written (store_write.go)
//	commit:   group      -> the files of several batches are synced together, get
//	                        their names, and their folders are synced (store_commit.go)
//
// The methods of store belong to the receiver's goroutine.
type store struct {
	announces bool // the caller wants to know of arrivals
	held      bool // nothing is published before release
	next      *batch
	jobs      chan *batch // sent and closed by the receiver
	writers   writers
	committed chan struct{}  // closed when jobs is, and all of them are done
	hurry     chan struct{}  // the receiver waits for what was handed over
	inFlight  sync.WaitGroup // of batches
	results   storeResults
}

// startStore begins to store below a destination. The account may be nil.
func startStore(destination *folder, o ReceiveOptions, a *account) *store {
	s := &store{announces: o.Arrived != nil, held: o.As != "", next: new(batch), jobs: make(chan *batch, maxGroupJobs/maxBatchJobs), committed: make(chan struct{}), hurry: make(chan struct{}, 1)}
	s.writers.start(disk.NewSmallWriter(destination.disk, disk.RandomTempName()))
	c := &committer{
		destination: destination, force: o.Force, number: o.Rename, account: a, hurry: s.hurry, done: &s.inFlight, results: &s.results,
		arrivals: arrivals{announce: o.Arrived},
	}
	go func() {
		defer close(s.committed)
		c.commitBatches(s.jobs)
	}()
	return s
}

// addPart adds a file that is complete.
func (s *store) addPart(p *part) { s.addJob(job{part: p}) }

// addSmall adds a small file that is still to be written. It copies body.
func (s *store) addSmall(p *part, body []byte) {
	if len(s.next.data)+len(body) > maxBatchBytes {
		s.flush()
	}
	if s.next.data == nil {
		s.next.data = s.writers.takeBuffer()
	}
	from := len(s.next.data)
	s.next.data = append(s.next.data, body...)
	p.body = s.next.data[from:]
	s.addJob(job{part: p})
}

// addLink adds another name of a file that was added before.
func (s *store) addLink(l *link) { s.addJob(job{link: l}) }

// addFolder adds a folder in which all is stored by the time that the store comes
// to it.
func (s *store) addFolder(f *folder) { s.addJob(job{folder: f}) }

// addExisting counts a file or a link that is in a folder by now, and that the store
// did not have to publish. The sender hears of stored more files, which hold bytes.
func (s *store) addExisting(in *folder, a Arrival, stored, bytes int64) {
	if s.results.countStored(in, a, stored, bytes) && s.announces {
		s.addJob(job{there: &a}) // announced behind what came before it
	}
}

func (s *store) addJob(j job) {
	s.next.jobs = append(s.next.jobs, j)
	if j.hasPlace() {
		s.next.places++
	}
	if len(s.next.jobs) == maxBatchJobs || s.next.places == open().most || j.part != nil && j.part.isLarge() {
		s.flush()
	}
}

// flush hands over what was added. It blocks while the stages behind it have
// enough to do, in this store or in another one. Where few files may be open, it waits until all is stored.
func (s *store) flush() {
	if len(s.next.jobs) == 0 || s.held {
		return
	}
	open().take(s.next.places, s.hasten)
	s.inFlight.Add(1)
	s.writers.writeBatch(s.next)
	s.jobs <- s.next
	s.next = new(batch)
	if isShortOfFiles() {
		s.hasten()
		s.inFlight.Wait()
	}
}

// hasten keeps the commit from waiting for more.
func (s *store) hasten() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// retry repeats a call that has failed because too many files are open, as often as a
// store of this process closes one. It returns the last error.
func (s *store) retry(err error, call func() error) error {
	if disk.IsShort(err) {
		s.flush()
		s.hasten()
		s.inFlight.Wait()
		err = call()
	}
	for disk.IsShort(err) && open().awaitGiven() {
		err = call()
	}
	return err
}

// fewFilesOpen is a limit of open files below which only the innermost folder stays open,
// and nothing arrives while something is stored.
const fewFilesOpen = 256

func isShortOfFiles() bool { return disk.MaxOpen() < fewFilesOpen }

// release lets what was added be published. One file that has a name of its own must be
// there only if the sender has kept to the protocol up to its end.
func (s *store) release() { s.held = false }

// finish waits until all is stored, and returns why that failed. Nothing may be
// added after it. What is still held is not stored.
func (s *store) finish() error {
	s.flush()
	for _, j := range s.next.jobs {
		j.release()
	}
	s.writers.stop()
	close(s.jobs)
	<-s.committed
	return s.results.failure()
}
