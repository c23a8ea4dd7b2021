// Package boltstore keeps the facts of a hub, and the log of their changes, in one bbolt
// file. A change and its line of the log are one transaction, which is on the disk when
// [Store.Write] returns nil.
//
// bbolt has no checksums of its own but for its two meta pages, and a damaged file can
// crash it. So the file carries a checksum of all its records, and [Open] checks every
// page before bbolt reads the file.
package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"mesh/proto"
	"mesh/proto/hub/broker"
	"mesh/proto/statefile"
)

// FileName is the usual name of the file.
const FileName = "hub.db"

const (
	fileMode = 0o600
	// lockTimeout bounds the wait for another process that has the file open. bbolt asks
	// again after 50 ms.
	lockTimeout = 200 * time.Millisecond
	// keepLog is how long a line of the log is kept. A change deletes up to
	// deletePerWrite lines that are older.
	keepLog        = 400 * 24 * time.Hour
	deletePerWrite = 16
)

// The buckets. A line of the log has its number, 8 bytes big endian, as the key.
const (
	factsBucket = "facts"
	logBucket   = "log"
	sumBucket   = "sum"
)

var (
	// ErrDamaged is the error of a file that is not as it was written. Its code is
	// [proto.Config].
	ErrDamaged = errors.New("the file is damaged")
	// ErrInUse is the error of a file that another process has open.
	ErrInUse = errors.New("another process uses it")
)

// Store is an open file. It implements [broker.Store].
type Store struct {
	path string
	db   *bbolt.DB

	mu     sync.Mutex // orders writes
	last   uint64     // the number of the newest line of the log
	broken error      // why no further change can be made
}

// Open opens the file at path, and creates it if it does not exist. A file that is
// damaged is left as it is: the error is [ErrDamaged]. No other process can open the
// file until [Store.Close].
func Open(path string) (*Store, error) {
	if err := statefile.Check(filepath.Dir(path), filepath.Base(path)); err != nil {
		return nil, err
	}
	s := &Store{path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create %s: %w", path, proto.IOError(err))
		}
	case err == nil && info.Size() == 0: // bbolt would make a new one of it
		return nil, s.explain(fmt.Errorf("%w: it is empty", ErrDamaged))
	}
	if err := guard(s.open); err != nil {
		if s.db != nil {
			_ = s.db.Close()
		}
		return nil, s.explain(err)
	}
	return s, nil
}

func (s *Store) explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return proto.Errorf(proto.IO, "open %s: %w", s.path, ErrInUse)
	case errors.Is(err, ErrDamaged):
		return proto.Errorf(proto.Config, "open %s: %w", s.path, err)
	}
	return fmt.Errorf("open %s: %w", s.path, proto.IOError(err))
}

// open checks the file while it is locked against writers, then opens it to write.
func (s *Store) open() error {
	locked, err := bbolt.Open(s.path, fileMode, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return damagedIf(err)
	}
	err = check(s.path)
	if err := errors.Join(err, locked.Close()); err != nil {
		return err
	}
	if s.db, err = bbolt.Open(s.path, fileMode, &bbolt.Options{Timeout: lockTimeout}); err != nil {
		return damagedIf(err)
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		s.last = lastLine(tx)
		return nil
	})
}

// damagedIf tells what bbolt finds wrong in a file from a file that can't be opened.
func damagedIf(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok || errors.Is(err, bolterrors.ErrTimeout) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// guard calls f. It returns a panic of bbolt, and an access to a part of the file that
// is not there, as an error.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}
	}()
	return f()
}

// create makes an empty file. It gets its name when it is whole and on the disk.
func create(path string) error {
	if err := statefile.MakeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	temp := statefile.TempName(path)
	defer os.Remove(temp)
	db, err := bbolt.Open(temp, fileMode, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{factsBucket, logBucket, sumBucket} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(sumBucket)).Put([]byte(sumBucket), make([]byte, len(sum{})))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := statefile.RenameNew(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return statefile.SyncFolder(filepath.Dir(path))
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Load implements [broker.Store].
func (s *Store) Load() ([]broker.Fact, error) {
	var all []broker.Fact
	return all, guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(factsBucket)).ForEach(func(k, v []byte) error {
				all = append(all, broker.Fact{Key: string(k), Value: append([]byte(nil), v...)})
				return nil
			})
		})
	})
}

// Log implements [broker.Store].
func (s *Store) Log(after uint64, limit int) ([]broker.Entry, error) {
	var out []broker.Entry
	return out, guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket([]byte(logBucket)).Cursor()
			for k, v := c.Seek(lineKey(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
				var e broker.Entry
				if err := json.Unmarshal(v, &e); err != nil {
					return fmt.Errorf("log, line %d: %w", binary.BigEndian.Uint64(k), err)
				}
				out = append(out, e)
			}
			return nil
		})
	})
}

// Write implements [broker.Store].
func (s *Store) Write(e broker.Entry, changes ...broker.Fact) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	e.N = s.last + 1
	err := guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error { return apply(tx, e, changes) })
	})
	if err == nil {
		s.last = e.N
		return nil
	}
	if named, ok := errors.AsType[*fs.PathError](err); !ok || named.Path != s.path {
		err = fmt.Errorf("write %s: %w", s.path, err)
	}
	err = withCode(err)
	if s.reached(e.N) {
		s.broken = fmt.Errorf("%w; the hub must be started again", err)
	}
	return err
}

// Broken returns why no further change can be made, or nil.
func (s *Store) Broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// withCode gives an error of bbolt its code: that the disk is full may stand only in its
// text.
func withCode(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if strings.Contains(err.Error(), full.Error()) {
			return &proto.Error{Code: proto.Space, Err: err}
		}
	}
	return proto.IOError(err)
}

// reached reports whether a change that failed is in the file in spite of that, or may
// be: the disk refused to sync it.
func (s *Store) reached(n uint64) bool {
	var last uint64
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			last = lastLine(tx)
			return nil
		})
	})
	return err != nil || last >= n
}

// apply makes the changes in a transaction.
func apply(tx *bbolt.Tx, e broker.Entry, changes []broker.Fact) error {
	w := writer{tx: tx, total: sum(tx.Bucket([]byte(sumBucket)).Get([]byte(sumBucket)))}
	for _, f := range changes {
		if err := w.set(factsBucket, []byte(f.Key), f.Value); err != nil {
			return err
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := w.set(logBucket, lineKey(e.N), line); err != nil {
		return err
	}
	if err := w.deleteOld(e.At.Add(-keepLog)); err != nil {
		return err
	}
	return tx.Bucket([]byte(sumBucket)).Put([]byte(sumBucket), w.total[:])
}

// writer changes records, and the checksum with them.
type writer struct {
	tx    *bbolt.Tx
	total sum
}

// set stores a record; without a value it deletes it.
func (w *writer) set(bucket string, key, value []byte) error {
	b := w.tx.Bucket([]byte(bucket))
	if old := b.Get(key); old != nil {
		w.total.toggle(bucket, key, old)
	}
	if len(value) == 0 {
		return b.Delete(key)
	}
	w.total.toggle(bucket, key, value)
	return b.Put(key, value)
}

// deleteOld deletes lines of the log that are older than the time.
func (w *writer) deleteOld(than time.Time) error {
	var old [][]byte
	c := w.tx.Bucket([]byte(logBucket)).Cursor()
	for k, v := c.First(); k != nil && len(old) < deletePerWrite; k, v = c.Next() {
		var e broker.Entry
		if err := json.Unmarshal(v, &e); err != nil || !e.At.Before(than) {
			break
		}
		old = append(old, append([]byte(nil), k...))
	}
	for _, k := range old {
		if err := w.set(logBucket, k, nil); err != nil {
			return err
		}
	}
	return nil
}

func lineKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func lastLine(tx *bbolt.Tx) uint64 {
	k, _ := tx.Bucket([]byte(logBucket)).Cursor().Last()
	if len(k) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(k)
}
