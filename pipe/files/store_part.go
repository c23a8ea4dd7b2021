package files

import (
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto/wire"
)

// part is a file that is being received. Either it grows in an open temporary file
// as its data arrives, or it is small, has arrived whole, and waits in memory for a
// writer.
type part struct {
	folder *folder // open
	entry  *wire.Entry
	name   string     // to publish it under
	rivals []string   // as in wanted
	temp   *disk.Temp // nil while the file is in memory

	// Of a file in memory:
	owner    string
	body     []byte // nil once it is written
	writeErr error  // why it could not be written

	// Of a file that grows:
	hash  *digest.Hasher // of the bytes so far
	bytes int64          // so far
	keep  bool           // if it stays incomplete, another run may resume it

	digest *wire.Digest // once it is complete

	published bool
	as        *storedAs // once it is published, if links may lead to it
}

// tempName returns the name of the temporary file of a small one, if it needs any.
func (p *part) tempName() string { return tempName(p.owner, p.entry) }

// tempName returns the name of the temporary file of an entry. It depends on the owner
// and on the sender's file, so that a large one is resumed for nothing else, and the
// repeat of a delivery that was killed finds what that has left.
func tempName(owner string, e *wire.Entry) string {
	sum := digest.Sum(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d", owner, e.Path, e.Size, e.Mtime))
	return disk.TempName(ownerPrefix(owner) + hex.EncodeToString(sum[:16]))
}

// ownerPrefix begins the ids of the parts that broken transfers of an owner leave.
func ownerPrefix(owner string) string {
	sum := digest.Sum([]byte(owner))
	return hex.EncodeToString(sum[:6]) + "-"
}

// newPart begins a file in an open folder, which it takes over. A large one can be
// resumed by another run. If an earlier run has left a part of it, that is removed;
// if another process writes that part, a new one is made which cannot be resumed.
func newPart(in *folder, owner, name string, e *wire.Entry) (*part, error) {
	p := &part{folder: in, entry: e, name: name, hash: digest.New()}
	var err error
	if p.temp, err = in.disk.RecreateTemp(tempName(owner, e), modeOf(e)); err == nil {
		p.keep = !e.Small() && p.temp.IsResumable()
		return p, nil
	}
	p.temp, err = in.disk.CreateRandomTemp(modeOf(e))
	if err != nil {
		return nil, err
	}
	return p, nil
}

// resumePart goes on with the part that an earlier run has left in an open
// folder, which it takes over. The part has length bytes, of which hash is.
func resumePart(in *folder, owner, name string, e *wire.Entry, length int64, hash *digest.Hasher) (*part, error) {
	temp, err := in.disk.ReopenTemp(tempName(owner, e))
	if err != nil {
		return nil, err
	}
	if err := temp.Truncate(length); err != nil {
		_ = temp.Close()
		return nil, err
	}
	return &part{folder: in, entry: e, name: name, temp: temp, hash: hash, bytes: length, keep: true}, nil
}

// write appends to a file that grows.
func (p *part) write(b []byte) error {
	if int64(len(b)) > p.entry.Size-p.bytes {
		return errMore
	}
	n, err := p.temp.Write(b)
	_, _ = p.hash.Write(b[:n]) // never fails
	p.bytes += int64(n)
	if err != nil {
		return errWriting(p.entry, err)
	}
	return nil
}

// complete checks that all of a file has arrived, and sets its mode and
// time. Then it can be published.
func (p *part) complete(want wire.Digest) error {
	if p.bytes != p.entry.Size {
		p.keep = false
		return errFewer(p.entry, p.bytes)
	}
	if p.hash.Sum() != want {
		p.keep = false
		return errDigest
	}
	p.digest, p.hash = &want, nil
	if err := p.temp.RestrictMode(modeOf(p.entry)); err != nil {
		return errWriting(p.entry, err)
	}
	if !p.folder.takesTime(p.entry.Mtime) {
		return nil
	}
	return errWriting(p.entry, p.temp.SetTime(time.Unix(0, p.entry.Mtime)))
}

// isLarge reports whether the part has grown in its temporary file.
func (p *part) isLarge() bool { return p.temp != nil && p.temp.IsLarge() }

// sum returns the digest of a complete file.
func (p *part) sum() digest.Digest {
	if p.digest == nil {
		return *p.entry.Digest // checkSmall has compared it
	}
	return *p.digest
}

// release closes the file and the folder. A file that was not published stays
// only if another run may resume it.
func (p *part) release() {
	switch {
	case p.temp == nil:
	case p.published || p.keep && p.bytes > 0:
		_ = p.temp.Close()
	default:
		_ = p.temp.Remove()
	}
	p.folder.close()
}

// checkSmall checks that body is all of a small file.
func checkSmall(e *wire.Entry, body []byte) error {
	switch {
	case int64(len(body)) > e.Size:
		return errMore
	case int64(len(body)) < e.Size:
		return errFewer(e, int64(len(body)))
	case digest.Sum(body) != *e.Digest:
		return errDigest
	}
	return nil
}

func modeOf(m *wire.Entry) os.FileMode { return os.FileMode(m.Mode) & 0o777 }
