package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"mesh/proto"
)

// abandonedAfter is how old a temporary file must be to be abandoned where there are no
// locks that tell.
const abandonedAfter = 24 * time.Hour

// abandoned is a temporary file that no process writes.
type abandoned struct {
	path    string
	bytes   int64
	changed time.Time
}

// RemoveAbandoned removes the temporary files below a folder that no process has
// locked and that have not changed since before; the zero time is for all of them. It
// follows no link. It goes on behind what it cannot read or remove, and returns the
// first such error.
func RemoveAbandoned(ctx context.Context, in *os.Root, before time.Time) error {
	return eachAbandoned(ctx, in, TempPrefix, func(a abandoned) error {
		if !before.IsZero() && a.changed.After(before) {
			return nil
		}
		return in.Remove(a.path)
	})
}

// TrimAbandoned removes the oldest of the temporary files below a folder that no process
// has locked and whose ids begin with prefix, until they have at most so many bytes
// together. See [RemoveAbandoned] for the rest.
func TrimAbandoned(ctx context.Context, in *os.Root, prefix string, most int64) error {
	var found []abandoned
	first := eachAbandoned(ctx, in, TempPrefix+prefix, func(a abandoned) error {
		found = append(found, a)
		return nil
	})
	slices.SortFunc(found, func(a, b abandoned) int { return b.changed.Compare(a.changed) })
	for _, a := range found {
		if most -= a.bytes; most >= 0 {
			continue
		}
		err := lockAbandoned(in, a.path, func(a abandoned) error { return in.Remove(a.path) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) && first == nil {
			first = proto.IOError(err)
		}
	}
	return first
}

// eachAbandoned calls f for each temporary file whose name begins with prefix and that no
// process has locked. The file is locked meanwhile.
func eachAbandoned(ctx context.Context, in *os.Root, prefix string, f func(abandoned) error) error {
	var first error
	err := fs.WalkDir(in.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err == nil && d.Type().IsRegular() && isTempName(d.Name()) && strings.HasPrefix(d.Name(), prefix) {
			err = lockAbandoned(in, path, f)
		}
		if first == nil && err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody else removed it
			first = proto.IOError(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return first
}

func lockAbandoned(in *os.Root, path string, f func(abandoned) error) error {
	file, err := in.OpenFile(path, os.O_RDONLY|fileFlags, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	lockErr := lock(file)
	info, err := file.Stat() // behind the lock, which a process that removes the file had too
	if err != nil {
		return err
	}
	a := abandoned{path, info.Size(), changedAt(file, info)}
	now, err := in.Lstat(path)
	switch {
	case err != nil:
		return err
	case !os.SameFile(now, info): // the file was published, and another one has the path
		return nil
	case proto.IsLacking(lockErr) && time.Since(a.changed) < abandonedAfter:
		return nil // a process may write it
	case lockErr != nil && !proto.IsLacking(lockErr):
		return nil // a process writes it
	}
	return f(a)
}
