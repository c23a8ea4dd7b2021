package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"mesh/proto"
	"mesh/proto/statefile"
)

// The limits of the spool.
const (
	maxItems     = 1000
	maxItemBytes = 64 << 10
	maxState     = 1 << 20
	// tempAge is when a temporary file has no process any more that writes it.
	tempAge = time.Hour
)

// spool is a folder with one file for each message that waits for a channel. Only who has
// the lock of a channel sends what waits for it, so that several processes send each
// message once.
type spool struct{ dir string }

// item is a message that waits for a channel.
type item struct {
	Channel  string    `json:"channel"`
	Message  Message   `json:"message"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"` // the next attempt; zero for now
	path     string    // "" for one that is in memory only
}

// pauses are the times between attempts; the last one is that of all others.
var pauses = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}

func longestPause() time.Duration { return pauses[len(pauses)-1] }

// due reports whether the next attempt may be made. A time too far ahead is due: the
// clock was set back.
func (i item) due(now time.Time) bool {
	wait := i.Next.Sub(now)
	return wait <= 0 || wait > longestPause()
}

// failed notes an attempt at a time, after which the channel asked for a pause.
func (i *item) failed(now time.Time, pause time.Duration) {
	i.Attempts++
	pause = max(pause, pauses[min(i.Attempts, len(pauses))-1])
	i.Next = now.Add(min(pause, longestPause()))
}

// tooOld reports whether no further attempt is made.
func (i item) tooOld(now time.Time) bool {
	age := 48 * time.Hour
	if i.Channel == Ping { // a late one would tell that the job works now
		age = time.Hour
	}
	return now.Sub(i.Since) > age
}

// add writes an item, and returns how many others had to go for it, by channel.
func (s spool) add(i item) (dropped map[string]int, err error) {
	if err := statefile.MakeFolder(s.dir); err != nil {
		return nil, err
	}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	for len(names) >= maxItems {
		oldest := slices.MinFunc(names, func(a, b string) int { return strings.Compare(timeOf(a), timeOf(b)) })
		names = slices.DeleteFunc(names, func(name string) bool { return name == oldest })
		if err := os.Remove(filepath.Join(s.dir, oldest)); err == nil {
			if dropped == nil {
				dropped = make(map[string]int)
			}
			dropped[channelOf(oldest)]++
		}
	}
	name := fmt.Sprintf("%s-%020d-%s.json", i.Channel, max(i.Since.UnixNano(), 0), randomText())
	i.path = filepath.Join(s.dir, name)
	return dropped, i.write()
}

func (i item) write() error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return statefile.Write(i.path, text, 0o600)
}

// channelOf and timeOf return the parts of the name of an item's file.
func channelOf(name string) string { channel, _, _ := strings.Cut(name, "-"); return channel }
func timeOf(name string) string    { _, rest, _ := strings.Cut(name, "-"); return rest }

// names returns the names of the files of items, the oldest of a channel first. It
// removes what a process that was killed has left half-written.
func (s spool) names() (names []string, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp"):
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
				_ = os.Remove(filepath.Join(s.dir, name))
			}
		case strings.HasSuffix(name, ".json") && !strings.HasPrefix(name, ".") && strings.Contains(name, "-"):
			names = append(names, name)
		}
	}
	return names, nil
}

// items returns what waits for a channel, the oldest first. A file that cannot be
// understood is removed: nothing can be sent of it.
func (s spool) items(channel string) (items []item) {
	names, _ := s.names()
	for _, name := range names {
		if channelOf(name) != channel {
			continue
		}
		path := filepath.Join(s.dir, name)
		text, err := statefile.Read(path, maxItemBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue // sent by another process
		}
		i := item{path: path}
		if err == nil {
			err = json.Unmarshal(text, &i)
		}
		if err != nil || i.Channel != channel {
			_ = os.Remove(path)
			continue
		}
		items = append(items, i)
	}
	return items
}

// has reports whether something waits for a channel.
func (s spool) has(channel string) bool {
	names, _ := s.names()
	return slices.ContainsFunc(names, func(name string) bool { return channelOf(name) == channel })
}

// anyDue reports whether something waits whose next attempt may be made.
func (s spool) anyDue(now time.Time) bool {
	names, _ := s.names()
	var seen []string
	for _, name := range names {
		if channel := channelOf(name); !slices.Contains(seen, channel) {
			seen = append(seen, channel)
			if slices.ContainsFunc(s.items(channel), func(i item) bool { return i.due(now) }) {
				return true
			}
		}
	}
	return false
}

// lock locks the channel. It waits for another process as long as ctx lasts.
func (s spool) lock(ctx context.Context, channel string) (unlock func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	type result struct {
		f   *lockedfile.File
		err error
	}
	got := make(chan result, 1) // sent once by the goroutine, which cannot be interrupted
	go func() {
		f, err := lockedfile.OpenFile(filepath.Join(s.dir, "."+channel+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
		got <- result{f, err}
	}()
	select {
	case r := <-got:
		if r.err != nil && proto.IsLacking(r.err) { // no locks here: two processes may send a message twice
			return func() {}, nil
		}
		return func() { _ = r.f.Close() }, r.err
	case <-ctx.Done():
		go func() {
			if r := <-got; r.err == nil {
				_ = r.f.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// editState changes the file state. One that cannot be understood is as none.
func (s spool) editState(f func(*state)) error {
	return statefile.Edit(filepath.Join(s.dir, "state"), maxState, func(old []byte) ([]byte, error) {
		st := parseState(old)
		f(&st)
		return json.Marshal(st)
	})
}

func (s spool) readState() state {
	text, _ := statefile.Read(filepath.Join(s.dir, "state"), maxState)
	return parseState(text)
}

func parseState(text []byte) (st state) {
	if json.Unmarshal(text, &st) != nil {
		st = state{}
	}
	if st.Subjects == nil {
		st.Subjects = make(map[string]subject)
	}
	if st.Dropped == nil {
		st.Dropped = make(map[string]int)
	}
	if st.Attempts == nil {
		st.Attempts = make(map[string]outcome)
	}
	return st
}
