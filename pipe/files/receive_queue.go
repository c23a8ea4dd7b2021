package files

import (
	"io/fs"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// wanted is a file of which the receiver wants data.
type wanted struct {
	entry *wire.Entry
	in    *folder
	name  string
	// rivals are names of the same folder that the file system may take for this one.
	rivals []string
	// have is how many bytes were there when the file was announced: in the part of
	// an earlier run, or with exists, in a whole file of that name. hash is of them.
	have   int64
	exists bool
	hash   *digest.Hasher
	// there is the whole file of that name if the peer may guess what it holds: then its
	// data is only compared.
	there fs.FileInfo
}

// maxQueue bounds a queue: the entries that may wait, and the folders that they
// are in.
const maxQueue = proto.MaxPending + proto.MaxDepth

// queue holds the files that were announced and whose data is still to come, in
// that order, and between them the folders that were left meanwhile. A folder is
// complete when all files before it are. The first one in a queue is a file.
type queue struct {
	waiting []queued
	files   int
}

// queued is a file or a folder.
type queued struct {
	file   *wanted
	folder *folder
}

// pushFile adds a file to the end.
func (q *queue) pushFile(w *wanted) error {
	if q.files == proto.MaxPending {
		return errOrder(w.entry)
	}
	q.waiting = append(q.waiting, queued{file: w})
	q.files++
	return nil
}

// pushFolder adds a folder, closed, to the end. The queue is not empty.
func (q *queue) pushFolder(f *folder) error {
	if len(q.waiting) >= maxQueue {
		return proto.Errorf(proto.Protocol, "more than %d entries wait for the data of a file", maxQueue)
	}
	q.waiting = append(q.waiting, queued{folder: f})
	return nil
}

// first returns the file whose data comes next, nil if none is wanted.
func (q *queue) first() *wanted {
	if len(q.waiting) == 0 {
		return nil
	}
	return q.waiting[0].file
}

// popFile removes the first file, and returns the folders that are complete with it.
func (q *queue) popFile() (complete []*folder) {
	q.waiting = q.waiting[1:]
	q.files--
	for len(q.waiting) > 0 && q.waiting[0].folder != nil {
		complete = append(complete, q.waiting[0].folder)
		q.waiting = q.waiting[1:]
	}
	return complete
}
