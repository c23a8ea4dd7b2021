package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"mesh/proto"
	"mesh/proto/statefile"
)

// Lock is the right to run a job. The kernel takes it back when the process ends.
type Lock struct {
	dir, name string
	file      *os.File
}

// ErrRunning is what [Acquire] fails with while another run has the lock.
var ErrRunning = errors.New("the job is running")

// errLocked is what tryLock returns if another process has the lock.
var errLocked = errors.New("locked")

// These are the pauses between two looks at a lock. A process that asks whether a job runs
// has the lock for an instant. So one that is found taken is looked at again for
// probeGrace before it counts as taken.
const (
	firstPause = 10 * time.Millisecond
	mostPause  = time.Second
	probeGrace = 100 * time.Millisecond
)

// Acquire locks a job of the state folder dir. If another run has the lock, it waits for
// the end of that, for as long as wait; then it fails with an [ErrRunning] of code
// [proto.Busy]. It makes the folder.
func Acquire(ctx context.Context, dir, name string, wait time.Duration) (*Lock, error) {
	file, err := openLock(dir, name)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := tryLock(file, true)
		if err == nil {
			note(file, begun)
			return &Lock{dir, name, file}, nil
		}
		left := max(wait, probeGrace) - time.Since(begun)
		if !errors.Is(err, errLocked) || left <= 0 {
			defer file.Close()
			return nil, lockError(file, name, err)
		}
		select {
		case <-time.After(min(pause, left)):
		case <-ctx.Done():
			_ = file.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// openLock opens the file of a lock, and makes it if it is missing.
func openLock(dir, name string) (*os.File, error) {
	lock := path(dir, name, lockSuffix)
	err := statefile.MakeFolder(filepath.Dir(lock))
	if err == nil {
		err = statefile.Check(filepath.Dir(lock), filepath.Base(lock), name+stateSuffix)
	}
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(lock, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err == nil {
		return file, nil
	}
	if err = statefile.Failed(err); proto.CodeOf(err) == proto.Config && len(proto.Hints(err)) == 0 {
		err = proto.Hint(err, "a job needs a state folder that it may write: set MESH_HOME to one")
	}
	return nil, fmt.Errorf("job %s: %w", name, err)
}

// Release lets the next run begin.
func (l *Lock) Release() { _ = l.file.Close() }

// note writes this process and the time into the file of a lock. They are only for a
// message, so it does not matter if that fails.
func note(file *os.File, now time.Time) {
	text := fmt.Appendf(nil, "%d %s\n", os.Getpid(), now.UTC().Format(time.RFC3339))
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt(text, 0)
	}
}

// holder returns what note has written; 0 and the zero time if that cannot be read.
func holder(file *os.File) (pid int, begun time.Time) {
	text := make([]byte, 64)
	n, err := file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, begun
	}
	var at string
	if _, err := fmt.Sscanf(string(text[:n]), "%d %s\n", &pid, &at); err != nil || pid <= 0 {
		return 0, begun
	}
	begun, _ = time.Parse(time.RFC3339, at)
	return pid, begun
}

// running reports whether a run of the job has the lock, and which process that is. It
// shares the lock with others who ask, for an instant.
func running(dir, name string) (is bool, pid int) {
	file, err := os.OpenFile(path(dir, name, lockSuffix), os.O_RDWR, 0)
	if err != nil {
		return false, 0
	}
	defer file.Close()
	if !errors.Is(tryLock(file, false), errLocked) {
		return false, 0
	}
	pid, _ = holder(file)
	return true, pid
}

// lockError returns the error of a job that cannot be locked because of err.
func lockError(file *os.File, name string, err error) error {
	switch {
	case errors.Is(err, errLocked):
		pid, begun := holder(file)
		err = &proto.Error{Code: proto.Busy, Err: &runningError{name, pid, begun, time.Now()}}
		return proto.Hint(err, "--wait DUR waits until it has ended")
	case proto.IsLacking(err):
		err = proto.Errorf(proto.Config, "job %s: lock %s: %w", name, file.Name(), err)
		return proto.Hint(err, "set MESH_HOME to a folder of a file system that has locks")
	}
	return fmt.Errorf("job %s: lock %s: %w", name, file.Name(), proto.IOError(err))
}

// runningError says which run has the lock.
type runningError struct {
	name       string
	pid        int // 0 if it is not known
	begun, now time.Time
}

// Is makes the error an [ErrRunning].
func (e *runningError) Is(target error) bool { return target == ErrRunning }

// Error tells the time of day, and the date too unless it is that of today.
func (e *runningError) Error() string {
	text := fmt.Sprintf("job %s is running", e.name)
	if e.pid == 0 {
		return text
	}
	layout, begun, now := "15:04", e.begun.Local(), e.now.Local()
	if begun.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	return fmt.Sprintf("%s since %s (pid %d)", text, begun.Format(layout), e.pid)
}
