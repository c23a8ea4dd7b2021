package disk

import (
	"fmt"
	"sync"

	"mesh/proto"
)

// lack is a convenience that a file system may not offer. What is stored without it is
// whole all the same, and replaces nothing.
type lack string

const (
	lackPublish lack = "it cannot rename a file without replacing another: each name is first taken with an empty file"
	lackMode    lack = "it does not keep permissions"
	lackTime    lack = "it does not keep modification times"
	lackLock    lack = "it has no locks: an unfinished file is not continued"
	lackNames   lack = "it cannot sync a folder: after a power cut a name may be missing"
)

// lacks notes what the file system of a folder lacks, for all folders opened below it.
// A nil *lacks notes nothing. It may be used by several goroutines.
type lacks struct {
	report func(error)

	mu    sync.Mutex
	noted map[lack]bool
}

// ReportLacks makes f, and each folder that is opened in it from now on, call report
// once for each convenience that the file system turns out to lack. Report may be
// called by any goroutine that uses such a folder.
func (f *Folder) ReportLacks(report func(error)) {
	f.lacks = nil
	if report != nil {
		f.lacks = &lacks{report: report, noted: make(map[lack]bool)}
	}
}

// ignore returns nil for an error that says that the file system lacks a convenience,
// which it notes. It returns other errors as they are.
func (l *lacks) ignore(what lack, err error) error {
	if !proto.IsLacking(err) {
		return err
	}
	l.note(what, err)
	return nil
}

func (l *lacks) note(what lack, err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.noted[what] {
		l.noted[what] = true
		l.report(fmt.Errorf("the file system: %s (%w)", what, Cause(err)))
	}
}
