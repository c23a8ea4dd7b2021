package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// Summary is the result of a transfer.
type Summary struct {
	// Files counts what was stored now, Skipped what the receiver had already:
	// files and links, not folders.
	Files, Skipped int64
	// Bytes is how many bytes Files hold, without holes and without what is in hard links.
	Bytes int64
	// Failed counts the entries that could not be sent, Refused those that were
	// not stored.
	Failed, Refused int64
	// Excluded counts the entries that the patterns of the sender have left out. A folder
	// counts once, with all that is in it.
	Excluded int64
	// Untaken says that no file was to be sent: the receiver has asked for a list alone,
	// or for names that are not offered.
	Untaken bool
}

// addBytes adds sizes that a peer has announced, whose sum need not fit.
func addBytes(sum, n int64) int64 { return sum + min(n, proto.MaxTransferBytes-sum) }

// Incomplete is the error of a transfer that went to its end, but not with every
// entry.
type Incomplete struct{ Err error }

// Error says how many entries are missing.
func (e *Incomplete) Error() string { return e.Err.Error() }

// Unwrap returns an error with the code of the first missing entry.
func (e *Incomplete) Unwrap() error { return e.Err }

// storeOpen and sendOpen are how many files a process opens at once to store or to send
// folders of any depth: with all sockets of a tool, and without its standard files.
const (
	storeOpen = 12
	sendOpen  = 10
)

// CheckStore fails if nothing can be stored in the folder at a path, or if the process may
// open too few files for that. A full disk is no failure: there may be room by the time
// that a file arrives.
func CheckStore(dir string) error {
	if err := disk.CheckDescriptors(storeOpen); err != nil {
		return err
	}
	return disk.CheckWritable(dir)
}

// Space returns how many bytes the file system of a folder has left for this user, and how
// many it has in all. ok is false if that is not known.
func Space(dir string) (free, size int64, ok bool) { return disk.Space(dir) }

// MaxDeliveries returns how many deliveries a process can store at a time, as far as its
// limit of open files decides that.
func MaxDeliveries() int { return max((disk.MaxOpen()-disk.MinOpen)/8, 1) }

// Collect removes the temporary files below a folder that no process writes.
// It follows no link. It goes on behind what it cannot read or remove, and
// returns the first such error.
func Collect(ctx context.Context, in *os.Root) error {
	return disk.RemoveAbandoned(ctx, in, time.Time{})
}

// CollectOld is [Collect] of what has not changed for a day: no sender is likely to
// continue it.
func CollectOld(ctx context.Context, in *os.Root) error {
	return disk.RemoveAbandoned(ctx, in, time.Now().Add(-24*time.Hour))
}

// problems counts and reports the entries with which something went wrong.
type problems struct {
	report func(path string, err error) // may be nil

	mu      sync.Mutex
	failed  int64
	refused int64
	code    proto.Code // of the first problem
	// rivals are names that the peer's file system may take for another one that was
	// sent, at most maxRivalPaths of them, by their paths.
	rivals   map[string]string
	collided bool // an entry was refused because of another name
}

// maxRivalPaths bounds the names for which a sender can say which other one is in the
// way.
const maxRivalPaths = 1000

// addRival notes which other name may be in the way of an entry at the peer.
func (p *problems) addRival(path, rival string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rivals == nil {
		p.rivals = make(map[string]string)
	}
	if len(p.rivals) < maxRivalPaths {
		p.rivals[path] = rival
	}
}

// addRefusedByPeer counts an entry that the receiver does not store. why is its reason in
// words, "" if it has given none.
func (p *problems) addRefusedByPeer(path string, code proto.Code, why string) {
	err := proto.Errorf(code, "%w (%s): %w", ErrRefused, code, reasonAtPeer(path, code, why))
	p.mu.Lock()
	rival := p.rivals[path]
	p.mu.Unlock()
	if rival != "" && code == proto.Unsafe {
		err = fmt.Errorf("%w, where %s may be taken for the same name", err, proto.QuoteText(rival))
		p.noteCollision()
	}
	p.addRefused(proto.EscapeText(path), err)
}

// reasonAtPeer returns why a receiver does not store an entry: in its own words, or else
// what is most likely.
func reasonAtPeer(path string, code proto.Code, why string) error {
	bad, deceives := errors.AsType[nameError](CheckPath(path, UsualNames))
	switch {
	case code == proto.Unsafe && deceives && (why == "" || why == bad.words):
		return fmt.Errorf("%w: %w", ErrName, bad)
	case why != "":
		return errors.New(proto.EscapeText(why))
	case code != proto.Unsafe:
		return errors.New(code.OfPeer())
	}
	if err := CheckPath(path, PortableNames); err != nil {
		return errors.New("its name is taken there, or not every system can store it")
	}
	return errors.New("its name is taken there, or may not be written")
}

// addTakenAtPeer counts an entry that the receiver does not store because it has a file
// of that name, which is known to differ.
func (p *problems) addTakenAtPeer(path string, code proto.Code) {
	p.addRefused(proto.EscapeText(path), proto.Errorf(code, "%w (%s): a file of that name is there, and it differs", ErrRefused, code))
}

// noteCollision lets err give the hint for names that a file system takes for one.
func (p *problems) noteCollision() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.collided = true
}

// addFailed counts an entry that the sender cannot send.
func (p *problems) addFailed(path string, err error) { p.count(&p.failed, path, err) }

// addRefused counts an entry that the receiver does not store.
func (p *problems) addRefused(path string, err error) {
	if errors.Is(err, errCollision) {
		p.noteCollision()
	}
	p.count(&p.refused, path, err)
}

func (p *problems) count(counter *int64, path string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*counter++
	if p.code == 0 {
		p.code = proto.CodeOf(err)
	}
	if p.report != nil {
		p.report(path, err)
	}
}

// setFailed takes over how many entries the peer says that it could not send.
func (p *problems) setFailed(n int64, code proto.Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = n
	if p.code == 0 {
		p.code = code
	}
}

// setRefused takes over how many entries the peer says that it has not stored,
// also those that it has not named.
func (p *problems) setRefused(n int64, code proto.Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = max(p.refused, n)
	if p.code == 0 {
		p.code = code
	}
}

// failures returns how many entries could not be sent, and the code of the first
// problem if there are any.
func (p *problems) failures() (int64, proto.Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == 0 {
		return 0, 0
	}
	return p.failed, p.code
}

// err returns an [Incomplete] if there were problems.
func (p *problems) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	switch {
	case p.failed+p.refused == 0:
		return nil
	case p.refused == 0:
		err = proto.Errorf(p.code, "%s not sent", countEntries(p.failed))
	case p.failed == 0:
		err = proto.Errorf(p.code, "%s not stored", countEntries(p.refused))
	default:
		err = proto.Errorf(p.code, "%s not sent, and %s not stored", countEntries(p.failed), countEntries(p.refused))
	}
	if p.collided {
		err = proto.Hint(err, collisionHint)
	}
	return &Incomplete{err}
}

func countEntries(n int64) string {
	if n == 1 {
		return "1 entry was"
	}
	return fmt.Sprintf("%d entries were", n)
}
