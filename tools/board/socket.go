package board

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
)

const (
	// folder is in the state folder.
	folder = "run"
	// answerTime bounds how long a tool may take to answer, and whoever asks to read.
	answerTime = time.Second
	// maxCard bounds a card, in bytes, and maxAsked the tools that are asked.
	maxCard  = 4 << 20
	maxAsked = 256
)

// Post makes the socket of a running tool in the state folder, and answers there with what
// card returns, until the returned function is called. It removes the sockets of tools that
// were killed.
func Post(state, mode string, card func() Card) (stop func(), err error) {
	dir := filepath.Join(state, folder)
	if err := local.MakeFolder(dir); err != nil {
		return nil, err
	}
	removeDead(dir)
	path := filepath.Join(dir, mode+"-"+strings.ToLower(rand.Text()[:8]))
	l, err := local.Listen(path)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() { answerAll(l, card) })
	return func() {
		_ = l.Close()
		wg.Wait()
	}, nil
}

// answerAll answers one connection after the other, until the listener is closed.
func answerAll(l net.Listener, card func() Card) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // most likely no descriptors are left
			<-time.After(100 * time.Millisecond)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(answerTime))
		if text, err := json.Marshal(card()); err == nil {
			_, _ = c.Write(append(text, '\n'))
		}
		_ = c.Close()
	}
}

// removeDead removes the sockets at which nobody listens.
func removeDead(dir string) {
	names, _ := sockets(dir) // none, if they cannot be listed
	for _, name := range names {
		path := filepath.Join(dir, name)
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		c, err := local.Dial(ctx, path)
		cancel()
		if err == nil {
			_ = c.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
}

// sockets lists the sockets in a folder. A name that begins with a dot is that of one which
// is just being made.
func sockets(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, proto.IOError(err)
	}
	for _, e := range entries {
		socket := e.Type()&fs.ModeSocket != 0 || runtime.GOOS == "windows" // where it has another type
		if socket && !strings.HasPrefix(e.Name(), ".") && len(names) < maxAsked {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Ask asks the running tools of the state folder at once, all or those of some modes, and
// returns their cards sorted by mode and begin. A tool that does not answer within a second
// has a card that says so. One that was killed has none.
func Ask(ctx context.Context, state string, modes ...string) ([]Card, error) {
	dir := filepath.Join(state, folder)
	names, err := sockets(dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return len(modes) > 0 && !slices.Contains(modes, modeOf(name)) })
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	got := make([]Card, len(names))
	there := make([]bool, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { got[i], there[i] = ask(ctx, filepath.Join(dir, name)) })
	}
	wg.Wait()
	var found []*Card
	for i := range got {
		if there[i] {
			found = append(found, &got[i])
		}
	}
	slices.SortFunc(found, func(a, b *Card) int { return cmp.Or(strings.Compare(a.Mode, b.Mode), a.Begun.Compare(b.Begun)) })
	cards := make([]Card, len(found))
	for i, c := range found {
		cards[i] = *c
	}
	return cards, nil
}

// modeOf returns the mode in the name of a socket.
func modeOf(name string) string {
	mode, _, _ := strings.Cut(name, "-")
	return mode
}

// ask asks one tool. there is false if it has gone.
func ask(ctx context.Context, path string) (c Card, there bool) {
	silent := func(why string) (Card, bool) { return Card{Mode: modeOf(filepath.Base(path)), Silent: why}, true }
	conn, err := local.DialOwner(ctx, path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return Card{}, false
	case ctx.Err() != nil:
		return silent("no answer in " + answerTime.String())
	case err != nil:
		return silent(err.Error())
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	text, err := io.ReadAll(io.LimitReader(conn, maxCard))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return silent("no answer in " + answerTime.String())
	}
	if err != nil || json.Unmarshal(text, &c) != nil || c.Mode == "" {
		if len(text) == 0 { // it ends just now
			return Card{}, false
		}
		return silent("its answer cannot be read")
	}
	return c, true
}
