package files

// maxBatchJobs bounds a batch. Waking the next stage for each small file would
// take as long as storing it.
const maxBatchJobs = 64

// batch is handed from stage to stage.
type batch struct {
	jobs    []job
	places  int           // that the jobs take
	data    []byte        // of the files to write
	written chan struct{} // closed by a writer; nil if nothing is to be written
}

// wait waits until the writer has written all files of the batch, or could not.
func (b *batch) wait() {
	if b.written != nil {
		<-b.written
	}
}

// job is one of four: a file to publish, a folder that is complete and gets its
// attributes, or an arrival that was there already. File and folder are open.
type job struct {
	part   *part
	folder *folder
	there  *Arrival
	link   *link
}

// in returns the folder in which the job changes something.
func (j job) in() *folder {
	switch {
	case j.folder != nil:
		return j.folder
	case j.link != nil:
		return j.link.folder
	}
	return j.part.folder
}

// hasPlace reports whether the job has something open while it is stored.
func (j job) hasPlace() bool { return j.there == nil }

func (j job) isOpen() bool {
	return j.part == nil && j.link == nil || j.part != nil && j.part.isLarge()
}

// release closes what the job has open, and gives its place back. It removes a file that is not published.
func (j job) release() {
	if j.hasPlace() {
		defer open().giveBack()
	}
	switch {
	case j.part != nil:
		j.part.release()
	case j.folder != nil:
		j.folder.close()
	case j.link != nil:
		j.link.folder.close()
	}
}
