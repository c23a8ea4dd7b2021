package attacker

import (
	"bytes"
	"encoding/json"
)

// Entry is the body of a FILES_ENTRY.
type Entry struct {
	ID     int    `json:"id"`
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Size   int    `json:"size,omitempty"`
	Mode   int    `json:"mode,omitempty"`
	MTime  int64  `json:"mtime,omitempty"`
	Digest string `json:"blake3,omitempty"`
	Target string `json:"target,omitempty"`
	Now    bool   `json:"now,omitempty"`
}

// File returns the entry of a file.
func File(id int, path string, data []byte) Entry {
	e := Entry{ID: id, Path: path, Kind: "file", Size: len(data), Mode: 0o600}
	if len(data) <= 65536 {
		e.Digest = Digest(data)
	}
	return e
}

// Frame returns the FILES_ENTRY.
func (e Entry) Frame() Frame {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(e) // it cannot fail
	return Frame{FilesEntry, bytes.TrimSuffix(body.Bytes(), []byte("\n"))}
}

// Offer announces an entry and returns its answer.
func (l *Link) Offer(e Entry) (Frame, error) {
	if err := l.Put(e.Frame()); err != nil {
		return Frame{}, err
	}
	return l.Await(FilesAnswer)
}

// Part sends the first bytes of a file that the peer has nothing of.
func (l *Link) Part(id int, data []byte) error {
	frames := []Frame{JSON(FilesFrom, `{"id":%d}`, id)}
	for len(data) > 0 {
		n := min(len(data), 256<<10)
		frames = append(frames, Frame{FilesData, data[:n]})
		data = data[n:]
	}
	return l.Put(frames...)
}

// Whole sends all bytes of a file that the peer has nothing of.
func (l *Link) Whole(id int, data []byte) error {
	if err := l.Part(id, data); err != nil {
		return err
	}
	return l.Put(JSON(FilesEnd, `{"id":%d,"blake3":%q}`, id, Digest(data)))
}

// Total ends the transfer of some entries, and returns FILES_STORED.
func (l *Link) Total(entries int) (Frame, error) {
	if err := l.Put(JSON(FilesTotal, `{"entries":%d}`, entries)); err != nil {
		return Frame{}, err
	}
	if err := l.Done(); err != nil {
		return Frame{}, err
	}
	return l.Await(FilesStored)
}
