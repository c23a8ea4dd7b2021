package node

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/pipe/progress"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/token"
	"mesh/tools/cmdline"
)

// progressEvery is how often --events tells of progress.
const progressEvery = time.Second

// event is one line of --events. Which fields are there depends on Event; the
// fields that a CMD gets too are called as its MESH_* variables.
type event struct {
	Event string    `json:"event"` // listening, peer, broken, resumed, progress, stored, receipt, delivery, reload, end
	Time  time.Time `json:"time"`

	// listening
	Addr    string     `json:"addr,omitempty"`
	Token   string     `json:"token,omitempty"`
	TokenID string     `json:"token_id,omitempty"`
	Allows  string     `json:"allows,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`

	// peer, broken, resumed, progress, stored, receipt, delivery
	PeerID   string `json:"peer_id,omitempty"`
	PeerName string `json:"peer_name,omitempty"`
	PeerAddr string `json:"peer_addr,omitempty"`
	Transfer string `json:"transfer,omitempty"`
	Via      string `json:"via,omitempty"` // the carrier; of a receipt, at the end

	// progress
	Sent     *int64 `json:"sent,omitempty"`
	Received *int64 `json:"received,omitempty"`

	// receipt
	Direction string         `json:"direction,omitempty"` // sent, received
	Bytes     *int64         `json:"bytes,omitempty"`
	BLAKE3    *digest.Digest `json:"blake3,omitempty"`
	Status    *int           `json:"status,omitempty"`
	Seconds   float64        `json:"seconds,omitempty"`
	Flows     int            `json:"flows,omitempty"`   // at the most at a time
	Files     *int64         `json:"files,omitempty"`   // of a transfer of files: stored
	Skipped   *int64         `json:"skipped,omitempty"` // and there already

	// stored, with bytes, blake3, and the status of CMD
	File   string `json:"file,omitempty"`
	Stored *int64 `json:"stored,omitempty"` // files that came now

	// delivery: where to
	Folder string `json:"folder,omitempty"`

	// delivery, reload, end
	Code  *proto.Code `json:"code,omitempty"`
	Name  string      `json:"name,omitempty"`
	Error string      `json:"error,omitempty"`
}

// teller tells of what happens: to scripts by --events, to people on stderr.
type teller struct {
	name     string
	stderr   io.Writer
	receipts bool // a terminal, or -v
	progress bool // a terminal

	mu     sync.Mutex
	events *os.File // nil without --events
	err    error    // the first of writing events
}

func newTeller(c *cli.Context) (*teller, error) {
	events, err := cmdline.OpenEvents(c)
	if err != nil {
		return nil, err
	}
	terminal := term.IsTerminal(c.App.ErrWriter) && !c.Bool("quiet")
	return &teller{
		name:     cmdline.Name(c),
		stderr:   c.App.ErrWriter,
		receipts: terminal || c.Count("verbose") > 0 && !c.Bool("quiet"),
		progress: terminal,
		events:   events,
	}, nil
}

func (t *teller) emit(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.events == nil || t.err != nil {
		return
	}
	e.Time = time.Now().UTC()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = t.events.Write(append(line, '\n'))
	}
	t.err = err
}

func (t *teller) listening(addr string, tok token.Token, text string) {
	e := event{Event: "listening", Addr: addr, Token: text, TokenID: tok.ID.String(), Allows: tok.Caps.String()}
	if !tok.Expires.IsZero() {
		expires := tok.Expires.UTC()
		e.Expires = &expires
	}
	t.emit(e)
}

// about is an event with the fields that say whom and what it is about.
func about(name string, p Party) event {
	return event{Event: name, PeerID: p.ID.String(), PeerName: p.Name, PeerAddr: p.Addr, Transfer: p.Transfer.String(), Via: p.Via}
}

func (t *teller) peer(p Party) { t.emit(about("peer", p)) }

// ended adds to an event how what it is about has ended.
func ended(e event, err error) event {
	code := proto.CodeOf(err)
	e.Code, e.Name = &code, code.String()
	if err != nil {
		e.Error = err.Error()
	}
	return e
}

func (t *teller) end(err error) { t.emit(ended(event{Event: "end"}, err)) }

func (t *teller) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.events == nil {
		return nil
	}
	if err := t.events.Close(); t.err == nil {
		t.err = err
	}
	return t.err
}

// watch tells of a transfer's progress until the returned function is called.
func (t *teller) watch(party func() Party, counters *pipe.Counters, on screen, o *outage) (stop func()) {
	draws := t.progress && !on.typed
	if t.events == nil && !draws {
		return func() {}
	}
	quit := make(chan struct{}) // closed by stop
	var wg sync.WaitGroup
	wg.Go(func() {
		draw, tell := time.NewTicker(progress.Every), time.NewTicker(progressEvery)
		defer draw.Stop()
		defer tell.Stop()
		line := progress.New(t.stderr, on.total, ansi())
		defer func() {
			if t.foreground() {
				line.Clear()
			}
		}()
		for {
			sent, received := counters.Sent.Load(), counters.Received.Load()
			select {
			case <-draw.C:
				since, broken := o.length()
				switch {
				case !draws || on.shown && received > 0 || !t.foreground():
				case broken:
					line.Broken(since)
				case on.total > 0:
					line.Set(sent)
				default:
					line.Set(sent + received)
				}
			case <-tell.C:
				e := about("progress", party())
				e.Sent, e.Received = &sent, &received
				t.emit(e)
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}

// foreground reports whether the line is nobody else's: a job that runs in the
// background would draw over what is typed.
func (t *teller) foreground() bool {
	f, ok := t.stderr.(*os.File)
	return ok && term.Foreground(f)
}

// ansi reports whether the terminal knows escape sequences.
func ansi() bool {
	kind := os.Getenv("TERM")
	return kind != "" && kind != "dumb"
}

// result tells what became of the transfers.
func (t *teller) result(p Party, r pipe.Result) {
	t.receipt(p, "sent", "to", r.Sent, nil)
	t.receipt(p, "received", "from", r.Received, nil)
}

// receipt tells what became of one way; sum is nil if it was no transfer of files.
func (t *teller) receipt(p Party, direction, preposition string, r *pipe.Receipt, sum *files.Summary) {
	if r == nil {
		return
	}
	e := about("receipt", p)
	e.Via, e.Flows = r.Via, r.Flows
	e.Direction, e.Bytes, e.BLAKE3, e.Status, e.Seconds = direction, &r.Bytes, &r.Digest, &r.Status, r.Elapsed.Seconds()
	what := ""
	if sum != nil {
		e.Files, e.Skipped = &sum.Files, &sum.Skipped
		what = storedWords(sum)
	}
	t.emit(e)
	if t.receipts {
		via := r.Via
		if r.Flows > 1 {
			via += fmt.Sprintf(" (%d flows)", r.Flows)
		}
		fmt.Fprintf(t.stderr, "%s: %s %s%d bytes %s %s over %s in %.1f s, blake3 %s\n",
			t.name, direction, what, r.Bytes, preposition, p.Label(), via, r.Elapsed.Seconds(), r.Digest)
	}
}

// storedWords says how many files were stored, and how many were there already if
// any were.
func storedWords(sum *files.Summary) string {
	words := fmt.Sprintf("%d files", sum.Files)
	if sum.Files == 1 {
		words = "1 file"
	}
	switch sum.Skipped {
	case 0:
	case 1:
		words += " (1 was there already)"
	default:
		words += fmt.Sprintf(" (%d were there already)", sum.Skipped)
	}
	return words + ", "
}
