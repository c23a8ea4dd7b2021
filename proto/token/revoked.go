package token

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"mesh/proto/statefile"
)

// RevokedFile is the file in the state folder that lists revoked tokens, one id
// a line; "#" begins a comment.
const RevokedFile = "revoked_tokens"

// Revoke adds the token with the given id to the list of revoked tokens in dir.
// No listener of that node admits the token from then on. Within seconds a
// running listener also disconnects the nodes that came with it.
func Revoke(dir string, id ID) error {
	return statefile.Edit(filepath.Join(dir, RevokedFile), maxListBytes, func(old []byte) ([]byte, error) {
		for line := range strings.Lines(string(old)) {
			if revokedID(line) == id.String() {
				return old, nil
			}
		}
		out := bytes.Clone(old)
		if len(out) > 0 && out[len(out)-1] != '\n' { // an editor left it out
			out = append(out, '\n')
		}
		return append(out, id.String()+"\n"...), nil
	})
}

// revokedID returns the text of the id in a line, or "" if the line has none.
func revokedID(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(line)
}

// revokedTokens is the list of revoked tokens as it was last read.
type revokedTokens struct {
	path string

	mu   sync.Mutex
	ids  map[ID]bool
	stat fs.FileInfo // of the file when it was read; nil before
}

// has reports whether the list has a token. It fails if the list cannot be read: then
// nobody knows.
func (r *revokedTokens) has(id ID) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, info, err := statefile.Find(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.stat == nil || !os.SameFile(info, r.stat) || info.Size() != r.stat.Size() || !info.ModTime().Equal(r.stat.ModTime()) {
		text, err := statefile.Read(r.path, maxListBytes)
		if err != nil {
			return false, err
		}
		r.ids = make(map[ID]bool)
		for line := range strings.Lines(string(text)) {
			if id, err := ParseID(revokedID(line)); err == nil {
				r.ids[id] = true
			}
		}
		r.stat = info
	}
	return r.ids[id], nil
}
