package cmdline

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"mesh/proto/statefile"
	"mesh/tools/config"
)

// Watched is config.toml, which is read again when it has changed.
type Watched struct {
	mu   sync.Mutex
	stat fs.FileInfo // of the file when it was read; nil before
	file *config.File
	err  error
}

// Now returns the file as it is now, and whether it is another one than at the last call.
func (w *Watched) Now() (file *config.File, changed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	path := configPath()
	if path == "" {
		return new(config.File), false, nil
	}
	_, info, err := statefile.Find(path)
	if errors.Is(err, fs.ErrNotExist) {
		changed, w.stat = w.stat != nil, nil
		return new(config.File), changed, nil
	}
	if err != nil {
		return nil, false, err
	}
	if w.stat == nil || !os.SameFile(info, w.stat) || info.Size() != w.stat.Size() || !info.ModTime().Equal(w.stat.ModTime()) {
		w.stat, changed = info, true
		w.file, w.err = config.Load(path, keys())
	}
	return w.file, changed, w.err
}
