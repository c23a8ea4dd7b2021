package files

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
)

// Same is a file that is there already, and may be what a sender sends again. It
// is only read. The caller closes it.
type Same struct {
	folder  *disk.Folder
	file    *os.File
	info    fs.FileInfo
	account *account
}

// OpenSame opens the file called name, to compare it with what an owner sends: see
// [ReceiveOptions]. If that is not a regular file, or the file system has it under another
// name, the error is [ErrIsThere].
func OpenSame(name string, ledger *Ledger, owner string) (*Same, error) {
	in, err := disk.Open(filepath.Dir(name))
	if err != nil {
		return nil, proto.IOError(err)
	}
	s := &Same{folder: in, account: ledger.account(owner, filepath.Dir(name))}
	if err := s.open(filepath.Base(name)); err != nil {
		s.Close()
		if errors.Is(err, disk.ErrReplaced) {
			return nil, ErrIsThere
		}
		return nil, proto.IOError(err)
	}
	return s, nil
}

func (s *Same) open(base string) (err error) {
	if s.info, err = s.folder.Lstat(base); err != nil {
		return err
	}
	if !s.info.Mode().IsRegular() {
		return ErrIsThere
	}
	if _, is, err := s.folder.HasOther(base); is || err != nil {
		return cmp.Or(err, error(ErrIsThere))
	}
	s.file, err = s.folder.OpenSame(base, s.info)
	return err
}

// Finish makes the file durable if it holds so many bytes with that digest. Else
// the error is [ErrIsThere]. A sender that may not read hears of the difference only
// now, when it has sent all: earlier, it could guess the content byte by byte. It has
// one guess at a file that it has not stored.
func (s *Same) Finish(bytes int64, sum digest.Digest) error {
	path := s.info.Name()
	holds, own := s.account.wasStored(path, s.info)
	same := bytes == s.info.Size()
	if same { // else the file is not read: it may be far longer than what was sent
		hash := digest.New()
		n, err := io.Copy(hash, io.LimitReader(s.file, bytes+1))
		if err != nil {
			return proto.IOError(err)
		}
		same, own = n == bytes && hash.Sum() == sum, own && holds(hash.Sum())
	}
	if !own {
		same = s.account.guess(path, s.info, sum, same)
	}
	if !same {
		return ErrIsThere
	}
	_ = s.account.flush() // without the note, a repetition is a guess
	return s.sync()
}

func (s *Same) sync() error {
	err := s.file.Sync()
	if err == nil || errors.Is(err, fs.ErrPermission) { // some systems sync only files open for writing
		err = s.folder.Sync()
	}
	if err != nil {
		return proto.IOError(err)
	}
	return nil
}

// Close closes the file.
func (s *Same) Close() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.folder.Close()
}
