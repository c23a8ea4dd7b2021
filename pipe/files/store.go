package files

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// batchJobs is how much is stored together at most: it reaches the disk together,
// which costs little more than one file alone. When batchOpen large files and
// folders are in it, which are open, that is enough, too. handJobs is how much is
// handed over at a time.
const (
	batchJobs = 1024
	batchOpen = 128
	handJobs  = 64
)

// batchWait is how long what is complete waits for more.
const batchWait = 20 * time.Millisecond

// fewFiles is up to how many it is better to wait for them alone than for all
// that is to be written to that disk.
const fewFiles = 8

// store publishes what is complete, in the order of its coming.
//
//	receiver -> jobs -> sync all -> publish all -> sync folders
//	       \-> writers -/
type store struct {
	o       ReceiveOptions
	in      *folder       // where all is stored
	owes    bool          // run's own, as the next: some names are not durable yet
	arrived []Arrival     // not told yet
	next    *handful      // the receiver's: to be handed over
	jobs    chan *handful // sent and closed by the receiver
	writers writers
	done    chan struct{} // closed when jobs is and all are done

	mu      sync.Mutex
	files   int64          // published
	refused []wire.Refused // not told yet
	reasons []error        // of them
	err     error          // nothing more can be stored
}

// job is a file to publish, or a folder in which all has been. Both are open. Or
// it is what was there already.
type job struct {
	part   *part
	folder *folder
	there  *Arrival
}

// in is the folder that it is about.
func (j job) in() *folder {
	if j.folder != nil {
		return j.folder
	}
	return j.part.folder
}

// newStore begins to store in a folder; probe is a name of ours that is free there.
func newStore(in *folder, o ReceiveOptions, probe string) *store {
	s := &store{o: o, in: in, jobs: make(chan *handful, batchJobs/handJobs), done: make(chan struct{}), next: new(handful)}
	s.writers.start(in, probe)
	go s.run()
	return s
}

// add takes a job, to be handed over with others: to wake the store up for each
// small file takes as long as to store it.
func (s *store) add(j job) {
	s.next.jobs = append(s.next.jobs, j)
	if len(s.next.jobs) == handJobs || j.part != nil && j.part.file != nil {
		s.hand()
	}
}

// addWhole is add for a file that is still to be written, with what it holds,
// which is copied.
func (s *store) addWhole(p *part, body []byte) {
	if len(s.next.data)+len(body) > handBytes {
		s.hand()
	}
	if s.next.data == nil {
		s.next.data = s.writers.buffer()
	}
	from := len(s.next.data)
	s.next.data = append(s.next.data, body...)
	p.body = s.next.data[from:]
	s.add(job{part: p})
}

// hand hands over what was added.
func (s *store) hand() {
	if len(s.next.jobs) > 0 {
		s.writers.take(s.next)
		s.jobs <- s.next
		s.next = new(handful)
	}
}

// finish waits until all is done, and returns what went wrong.
func (s *store) finish() error {
	s.hand()
	s.writers.stop()
	close(s.jobs)
	<-s.done
	return s.failed()
}

func (s *store) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *store) run() {
	defer close(s.done)
	defer s.settle()
	for first := range s.jobs {
		batch := s.gather(first)
		err := s.failed()
		if err == nil {
			err = s.store(batch)
		}
		for _, j := range batch {
			if j.part != nil {
				j.part.leave() // no effect on what is published
			} else if j.folder != nil {
				j.folder.close()
			}
		}
		switch {
		case err != nil:
			s.owes = true
		case !s.owes || len(s.arrived) >= maxArrived:
			err = s.announce()
		}
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
}

// gather takes what comes within a moment, to be stored together.
func (s *store) gather(first *handful) []job {
	batch, open := make([]job, 0, batchJobs), 0
	moment := time.NewTimer(batchWait)
	defer moment.Stop()
	for next, ok := first, true; ok; {
		next.wait()
		batch = append(batch, next.jobs...)
		for _, j := range next.jobs {
			if j.part == nil || j.part.file != nil {
				open++
			}
		}
		if len(batch) > batchJobs-handJobs || open >= batchOpen {
			break
		}
		select {
		case next, ok = <-s.jobs:
		case <-moment.C:
			ok = false
		}
	}
	return batch
}

// settle makes all names durable at the end, and tells of the last of them.
func (s *store) settle() {
	if s.failed() != nil && len(s.arrived) == 0 {
		return
	}
	if err := s.announce(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
		}
	}
}

// sync makes the names durable that are not yet.
func (s *store) sync() error {
	if !s.owes {
		return nil
	}
	if err := syncAll(s.in.root.file); err != nil {
		return proto.IOError(errIn("", err))
	}
	s.owes = false
	return nil
}

// store makes a batch durable, but for names that it leaves to settle.
func (s *store) store(batch []job) error {
	batch, failed := s.written(batch)
	if err := s.storeWritten(batch); err != nil {
		return err
	}
	return failed
}

// written returns what of a batch is there. That a file could not be written is
// told, and ends nothing, but that the disk is full ends what is behind it.
func (s *store) written(batch []job) (there []job, full error) {
	for i, j := range batch {
		if j.part == nil || j.part.unwritten == nil {
			if there != nil {
				there = append(there, j)
			}
			continue
		}
		if there == nil {
			there = append(make([]job, 0, len(batch)), batch[:i]...)
		}
		p := j.part
		if proto.CodeOf(proto.IOError(p.unwritten)) == proto.Space {
			return there, p.failed(p.unwritten)
		}
		s.spoil(p.folder.top)
		s.refuse(p.entry.Path, refusal(p.unwritten))
	}
	if there == nil {
		return batch, nil
	}
	return there, nil
}

func (s *store) storeWritten(batch []job) error {
	alike := s.oneDisk(batch)
	if err := s.syncBatch(batch, alike); err != nil {
		return err
	}
	touched := make(map[*folder]bool)
	for _, j := range batch {
		if j.there != nil {
			s.arrive(*j.there)
			continue
		}
		var err error
		f := j.in()
		touched[f] = true
		if j.part != nil {
			err = s.name(j.part)
		} else {
			err = f.settle()
		}
		if err != nil {
			return proto.IOError(errIn(f.path, err))
		}
		if j.folder != nil && f.parent == s.in {
			s.arriveFolder(f.top)
		}
	}
	if alike && len(touched) > fewFiles {
		s.owes = true // the names, which the next batch, or the end, makes durable
		return nil
	}
	for f := range touched {
		if err := f.root.sync(); err != nil {
			return proto.IOError(errIn(f.path, err))
		}
	}
	return nil
}

// oneDisk reports whether all of a batch is on the disk of the folder where all
// is stored, as far as [syncAll] goes. Something else may be mounted in it.
func (s *store) oneDisk(batch []job) bool {
	for _, j := range batch {
		if j.there == nil && !sameDisk(j.in().found, s.in.found) {
			return false
		}
	}
	return true
}

// syncBatch makes what the files of a batch hold durable.
func (s *store) syncBatch(batch []job, alike bool) error {
	var parts []*part
	for _, j := range batch {
		if j.part != nil {
			parts = append(parts, j.part)
		}
	}
	if alike && len(parts) > fewFiles {
		if err := syncAll(s.in.root.file); err != nil {
			return parts[0].failed(err)
		}
		return nil
	}
	for _, p := range parts {
		if p.file != nil {
			startSync(p.file)
		}
	}
	for _, p := range parts {
		if err := p.sync(); err != nil {
			return p.failed(err)
		}
	}
	return nil
}

// name publishes a file. That there is one already is told, and ends nothing.
func (s *store) name(p *part) error {
	name, err := s.publish(p)
	if errors.Is(err, ErrIsThere) {
		s.spoil(p.folder.top)
		s.refuse(p.entry.Path, ErrIsThere)
		p.kept = false
		return nil
	}
	if err != nil {
		return err
	}
	p.published = true
	a := Arrival{Name: name, Bytes: p.entry.Size, Stored: 1}
	if s.o.Arrived != nil && p.folder.top == nil {
		sum := p.sum()
		a.Digest = &sum
	}
	s.count(p.folder, a, s.arrive)
	return nil
}

// refuse takes note of what is not stored.
func (s *store) refuse(path string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, wire.Refused{Path: path, Code: proto.CodeOf(err)})
	s.reasons = append(s.reasons, err)
}

// takeRefused returns what was refused since the last time, and why.
func (s *store) takeRefused() ([]wire.Refused, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused, reasons := s.refused, s.reasons
	s.refused, s.reasons = nil, nil
	return refused, reasons
}

// errIn adds a path of the peer's to an error.
func errIn(path string, err error) error {
	if path == "" {
		path = "the folder given"
	}
	return &fs.PathError{Op: "store in", Path: proto.EscapeText(path), Err: cause(err)}
}
