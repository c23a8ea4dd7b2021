package files

import (
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// sentFiles are the files with several names of which one has been sent, by their numbers.
type sentFiles map[disk.FileID]sentFile

// sentFile is the first name of a file, and what the file was like then.
type sentFile struct {
	path  string
	size  int64
	mtime time.Time
}

// mayLink reports whether other names of an item may be announced as links to it: it has
// others, and the receiver takes links in its folder.
func (s *sender) mayLink(e *wire.Entry, it *item) bool {
	return e.Now && it.in.links && it.linked && len(s.sentFiles) < proto.MaxLinked
}

// noteLinked notes that all of an item was sent.
func (s *sender) noteLinked(e *wire.Entry, it *item) {
	if e.Links {
		s.sentFiles[it.id] = sentFile{it.path, it.size, it.mtime}
	}
}

// announceLink announces an item as another name of a file that was sent. It reports
// whether it did.
func (s *sender) announceLink(e *wire.Entry, it *item) (done bool, err error) {
	if !e.Now || !it.in.links || !it.linked {
		return false, nil
	}
	first, ok := s.sentFiles[it.id]
	if !ok || first.size != it.size || !first.mtime.Equal(it.mtime) {
		return false, nil
	}
	return true, s.sendEntry(&wire.Entry{ID: e.ID, Path: e.Path, Kind: wire.EntryLink, Size: it.size, Target: first.path, Now: true}, it)
}
