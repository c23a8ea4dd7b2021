package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/proto/statefile"
)

// recordFile is a file of records of one length, to which several processes may add.
type recordFile struct {
	path   string
	record int // bytes
	most   int // records; when there are more, the older half goes
}

// read returns the whole records from an offset on, none if there is no file.
func (f recordFile) read(from int64) ([]byte, error) {
	path, info, err := statefile.Find(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	length := min(info.Size(), int64(2*f.most*f.record)) - from
	b := make([]byte, max(length, 0)/int64(f.record)*int64(f.record))
	n, err := file.ReadAt(b, from)
	if err == io.EOF { // another process has halved it meanwhile
		err = nil
	}
	return b[:n/f.record*f.record], err
}

// add adds records. It creates the file and its folder.
func (f recordFile) add(records []byte) error {
	path, info, err := statefile.Find(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		path, info, err = f.path, nil, f.makeRoom()
	}
	if err == nil && info != nil && info.Size()+int64(len(records)) > int64(f.most*f.record) {
		err = f.halve()
	}
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if info, err = file.Stat(); err == nil && info.Size()%int64(f.record) != 0 { // a write failed half-way
		err = file.Truncate(info.Size() / int64(f.record) * int64(f.record))
	}
	if err == nil {
		_, err = file.Write(records)
	}
	return errors.Join(err, file.Close())
}

// halve removes the older half of the records. What another process adds meanwhile may
// be lost.
func (f recordFile) halve() error {
	b, err := f.read(0)
	if err != nil {
		return err
	}
	records := len(b) / f.record
	return statefile.Write(f.path, b[records/2*f.record:], 0o600)
}

// makeRoom makes the folder of a new file, and removes the oldest ledger in it if there
// are maxLedgers.
func (f recordFile) makeRoom() error {
	dir := filepath.Dir(f.path)
	if err := statefile.MakeFolder(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < maxLedgers {
		return err
	}
	var oldest fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.Name() != guessFile && e.Name() != aliasFile && (oldest == nil || info.ModTime().Before(oldest.ModTime())) {
			oldest = info
		}
	}
	if oldest == nil {
		return nil
	}
	return os.Remove(filepath.Join(dir, oldest.Name()))
}
