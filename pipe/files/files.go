// Package files carries files and folders over a pair of pipes: what there is is
// announced, and what is not at the other end yet is sent. What arrives is there
// only when it is whole. "Files" in package proto has the frames.
package files

import (
	"sync"

	"mesh/proto"
)

// Summary is what came of a transfer.
type Summary struct {
	// Files counts what is stored now, Skipped what was there already: files
	// and links, not folders.
	Files, Skipped int64
	// Failed counts what could not be sent, Refused what was not stored.
	Failed, Refused int64
}

// tally counts what goes wrong with single entries, and tells it.
type tally struct {
	report func(path string, err error) // may be nil

	mu      sync.Mutex
	failed  int64
	refused int64
	code    proto.Code // of the first
}

// fail takes note of an entry that the sender can't send.
func (t *tally) fail(path string, err error) { t.note(&t.failed, path, err) }

// refuse takes note of an entry that the receiver does not store.
func (t *tally) refuse(path string, err error) { t.note(&t.refused, path, err) }

func (t *tally) note(count *int64, path string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*count++
	if t.code == 0 {
		t.code = proto.CodeOf(err)
	}
	if t.report != nil {
		t.report(path, err)
	}
}

// err is what a transfer ends with that went well but for single entries.
func (t *tally) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	switch {
	case t.failed+t.refused == 0:
		return nil
	case t.refused == 0:
		err = proto.Errorf(t.code, "%s not sent", count(t.failed))
	case t.failed == 0:
		err = proto.Errorf(t.code, "%s not stored", count(t.refused))
	default:
		err = proto.Errorf(t.code, "%s not sent, and %s not stored", count(t.failed), count(t.refused))
	}
	return &Incomplete{err}
}
