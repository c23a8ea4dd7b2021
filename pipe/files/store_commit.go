package files

import (
	"errors"
	"sync"
	"time"

	"mesh/proto"
)

// maxGroupJobs bounds a group: what is committed together reaches the disk with
// one sync, which costs little more than the sync of one file. A group with
// maxGroupOpen open files and folders is large enough, too.
const (
	maxGroupJobs = 1024
	maxGroupOpen = 128
)

// groupWait is how long a complete file waits for others to join its group.
const groupWait = 20 * time.Millisecond

// fewFiles is up to how many files are synced one by one. For more, a sync of
// the whole disk is faster, although it waits for other programs' data too.
const fewFiles = 8

// committer publishes in groups, as databases commit transactions: sync the data
// of all files, publish all, sync the folders. It runs in one goroutine.
type committer struct {
	destination   *folder
	force, number bool            // what to do about a name that is taken
	account       *account        // may be nil
	hurry         <-chan struct{} // the receiver waits for what it has handed over
	done          *sync.WaitGroup // counts batches
	results       *storeResults
	arrivals      arrivals
	// namesPending says that some published names are not durable yet. announce makes
	// them durable.
	namesPending bool
	// syncsDisk says that one call makes the destination's disk durable; syncsFiles,
	// that there is no such call. At first neither is known.
	syncsDisk, syncsFiles bool
}

// commitBatches commits the batches until their channel is closed. After a failure it
// only releases them.
func (c *committer) commitBatches(batches <-chan *batch) {
	for first := range batches {
		group, count := c.gatherGroup(first, batches)
		err := c.results.failure()
		if err == nil {
			err = c.commitGroup(group)
		}
		for _, j := range group {
			j.release()
		}
		c.done.Add(-count)
		if err == nil && (!c.namesPending || len(c.arrivals.waiting) >= maxArrivals) {
			err = c.announce()
		}
		c.results.fail(err)
	}
	if c.results.failure() == nil || len(c.arrivals.waiting) > 0 {
		c.results.fail(c.announce())
	}
}

// gatherGroup adds to a first batch what arrives within groupWait, unless the receiver
// waits. It returns how many batches that are.
func (c *committer) gatherGroup(first *batch, batches <-chan *batch) (group []job, count int) {
	group, large := make([]job, 0, maxGroupJobs), 0
	moment := time.NewTimer(groupWait)
	defer moment.Stop()
	for next, ok := first, true; ok; {
		next.wait()
		count++
		group = append(group, next.jobs...)
		for _, j := range next.jobs {
			if j.isOpen() {
				large++
			}
		}
		if len(group) > maxGroupJobs-maxBatchJobs || large >= maxGroupOpen {
			break
		}
		select {
		case next, ok = <-batches:
		case <-moment.C:
			ok = false
		case <-c.hurry:
			ok = false
		}
	}
	return group, count
}

// commitGroup publishes a group. Its names may stay pending.
func (c *committer) commitGroup(group []job) error {
	group, full := c.withoutUnwritten(group)
	if err := c.publishGroup(group); err != nil {
		return err
	}
	return full
}

// withoutUnwritten returns the group without the files that could not be written.
// Each is refused and ends nothing. But a full disk cuts the group short there, and
// is the error.
func (c *committer) withoutUnwritten(group []job) (written []job, full error) {
	for i, j := range group {
		if j.part == nil || j.part.writeErr == nil {
			if written != nil {
				written = append(written, j)
			}
			continue
		}
		if written == nil {
			written = append(make([]job, 0, len(group)), group[:i]...)
		}
		p := j.part
		if proto.CodeOf(proto.IOError(p.writeErr)) == proto.Space {
			return written, errWriting(p.entry, p.writeErr)
		}
		c.results.refuse(p, refuse(p.writeErr))
	}
	if written == nil {
		return group, nil
	}
	return written, nil
}

// publishGroup makes the data of a group durable, then publishes its files and
// completes its folders, then makes the names durable or leaves them pending.
func (c *committer) publishGroup(group []job) error {
	oneDisk := c.isOnOneDisk(group)
	if err := c.syncData(group, oneDisk); err != nil {
		return err
	}
	touched := make(map[*folder]bool)
	earlier := len(c.arrivals.waiting)
	var failed error
	for _, j := range group {
		if j.there != nil {
			c.arrivals.add(*j.there)
			continue
		}
		touched[j.in()] = true
		if err := c.publishJob(j); err != nil {
			failed = errStoring(j.in().path, err)
			break
		}
	}
	_ = c.account.flush() // before a sync, which takes long; Receive reports its error
	if err := c.syncNames(touched, oneDisk); err != nil {
		c.arrivals.waiting = c.arrivals.waiting[:earlier] // they are not durable
		return err
	}
	return failed
}

// syncNames makes the names in folders durable, or leaves them pending.
func (c *committer) syncNames(touched map[*folder]bool, oneDisk bool) error {
	if oneDisk && len(touched) > fewFiles {
		if c.syncsDisk {
			c.namesPending = true
			return nil
		}
		if done, err := c.syncDisk(); err != nil {
			return errStoring("", err)
		} else if done {
			return nil
		}
	}
	for f := range touched {
		if err := f.disk.Sync(); err != nil {
			return errStoring(f.path, err)
		}
	}
	return nil
}

func (c *committer) publishJob(j job) error {
	switch {
	case j.part != nil:
		return c.publishFile(j.part)
	case j.link != nil:
		return c.publishLink(j.link)
	}
	if err := j.folder.setAttributes(); err != nil {
		return err
	}
	if j.folder.parent == c.destination {
		if a, whole := j.folder.top.finished(); whole {
			c.arrivals.add(a)
		}
	}
	return nil
}

// publishFile gives a file its name. If other content has the name, or the folder does
// not take the file, that is refused, which ends nothing.
func (c *committer) publishFile(p *part) error {
	target := targetOf(p)
	name, kept, err := c.publishPart(p)
	switch {
	case errors.Is(err, ErrIsThere) || errors.Is(err, errCollision):
		p.keep = false
		c.results.refuse(p, err)
		return nil
	case err != nil && !endsTransfer(err):
		c.results.refuse(p, refuse(err))
		return nil
	case err != nil:
		return err
	}
	a := Arrival{Name: name, Bytes: p.entry.Size, Stored: 1}
	if kept {
		p.keep, a.Stored = false, 0
	} else {
		p.published = true
		c.note(p, name)
		p.as = target.publishedAs(name)
	}
	if c.arrivals.announce != nil && p.folder.top == nil {
		sum := p.sum()
		a.Digest = &sum
	}
	if c.results.countStored(p.folder, a, 1, p.entry.Size-p.entry.Holes) {
		c.arrivals.add(a)
	}
	return nil
}

// isOnOneDisk reports whether one sync of the destination's disk reaches all of a
// group. Another file system may be mounted below the destination.
func (c *committer) isOnOneDisk(group []job) bool {
	for _, j := range group {
		if j.there == nil && !j.in().disk.SameDisk(c.destination.disk) {
			return false
		}
	}
	return true
}

// syncData makes what the files of a group hold durable.
func (c *committer) syncData(group []job, oneDisk bool) error {
	var parts []*part
	for _, j := range group {
		if j.part != nil {
			parts = append(parts, j.part)
		}
	}
	if oneDisk && len(parts) > fewFiles {
		if done, err := c.syncDisk(); err != nil {
			return errWriting(parts[0].entry, err)
		} else if done {
			return nil
		}
	}
	for _, p := range parts {
		p.temp.StartSync()
	}
	for _, p := range parts {
		if err := p.temp.Sync(); err != nil {
			return errWriting(p.entry, err)
		}
	}
	return nil
}

// announce makes pending names durable, and then announces what has arrived.
func (c *committer) announce() error {
	if c.namesPending {
		if _, err := c.syncDisk(); err != nil { // there is such a call: names would not be pending
			return errStoring("", err)
		}
		c.namesPending = false
	}
	return c.arrivals.announceAll()
}

// syncDisk makes all durable that was written to the destination's disk. done is false
// if there is no call for that: then each file and folder is synced alone.
func (c *committer) syncDisk() (done bool, err error) {
	if c.syncsFiles {
		return false, nil
	}
	err = c.destination.disk.SyncDisk()
	if !c.syncsDisk && errors.Is(err, errors.ErrUnsupported) {
		c.syncsFiles = true
		return false, nil
	}
	c.syncsDisk = err == nil
	return true, err
}
