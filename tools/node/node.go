// Package node is this process as one node of the network: its key, its sockets and
// its tokens. It finds the peer that a PEER text means, dials it, waits for peers,
// and reports each transfer to people and to scripts. It takes values and writers,
// and knows no flags and no environment.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/roam"
	"mesh/proto/statefile"
	"mesh/proto/token"
	"mesh/tools/board"
)

// Options say which node a process is, and how it links and reports.
type Options struct {
	Key *identity.Key
	// State is the folder with the address book and the files of the tokens.
	State string
	// Listen is the HOST:PORT of the node's sockets; without a host on all addresses,
	// with port 0 or "" on a free port.
	Listen string
	// Via says over which paths links may run.
	Via path.Via
	// Window is how many bytes of a transfer this end may hold; 0 means
	// [proto.WindowBytes].
	Window int64
	// Transfers are the options of every transfer. Log, Counters and Broken are set
	// by the node.
	Transfers pipe.Options
	// Hubs are asked for the peers that no address is known for, in this order.
	Hubs []hub.URL
	// Reach says which ways to others are used. Its zero value uses all.
	Reach Reach
	// Trust is the least proof of a peer's key that will do, a [Grade];
	// "" asks the user about a key that a hub names, and refuses it where there is no Ask.
	Trust string
	// Rooms returns the rules for the members of rooms as they are now; nil for none. It is
	// asked for each dialer that shows a voucher, and each second for each link that a
	// rule has admitted.
	Rooms func() ([]RoomRule, error)
	// Ask asks the user a question, and returns the word that is typed in lower case; nil
	// if nobody can be asked.
	Ask func(ctx context.Context, question string) (answer string, err error)
	// Resolvers find the peers that are neither a token nor in the address book. They
	// are asked in this order.
	Resolvers []Resolver

	// Log may be nil.
	Log *slog.Logger
	// EventLog gets one record for each event but progress and the tool's failures, which
	// are reported by the tool; nil for none.
	EventLog *slog.Logger
	// Records gets what would otherwise be lines on Stderr; nil for lines.
	Records *slog.Logger
	// Board records what the node does, for mesh status and for metrics; nil for no record.
	Board *board.Board
	// Events, if it is set, gets one line of JSON for each event. The node closes it.
	Events io.WriteCloser
	// Name begins each line on Stderr.
	Name   string
	Stderr io.Writer
	// Receipts and Progress are printed on Stderr if they are set. Progress wants a
	// terminal; ANSI says that this knows escape sequences.
	Receipts, Progress, ANSI bool
}

// Reach says how a node may reach others, and be reached.
type Reach struct {
	// NoRelay keeps links from relays, NoPortMap the node from asking routers for ports.
	NoRelay, NoPortMap bool
	// NoLAN keeps the node from asking for peers in the networks of this machine, and from
	// answering there.
	NoLAN bool
	// Hide keeps the addresses of this machine's interfaces from peers.
	Hide bool
	// STUN are servers to ask beside those of the hubs, each HOST:PORT.
	STUN []string
	// Proxy returns the proxy for a request, as [http.Transport] has it; nil stands for
	// [http.ProxyFromEnvironment].
	Proxy func(*http.Request) (*url.URL, error)
}

// Node is this process's node. It has one endpoint, whose sockets are opened when
// the first link needs them, and one registry for the tokens that it makes. Its
// methods may be called by many goroutines.
type Node struct {
	Key    *identity.Key
	Book   identity.Book
	Tokens *token.Registry
	Log    *slog.Logger
	// Ledger notes what each peer has stored. It is nil if there is no state folder.
	Ledger *files.Ledger

	options   Options
	life      context.Context // ends with Close
	end       context.CancelFunc
	reporter  *reporter
	resolvers []Resolver
	printed   atomic.Bool // a token, a warning or a note
	answering sync.Once   // in the networks of this machine
	watching  sync.Once   // sets network
	network   *roam.Watcher

	metMu  sync.Mutex // guards these two
	met    map[identity.ID]acquaintance
	proven map[token.ID]acquaintance // the holders of tokens who have proven who they are

	mu       sync.Mutex // guards the endpoints
	endpoint *link.Endpoint
	alias    *link.Endpoint
}

// New makes a node. It opens no socket. Call [Node.Close] with the tool's error.
func New(o Options) *Node {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Transfers.Log = o.Log
	book := identity.Book{Dir: o.State}
	n := &Node{
		Key: o.Key, Book: book, Tokens: token.NewRegistry(o.Key, book), Log: o.Log, Ledger: openLedger(o.State),
		options: o, reporter: newReporter(o),
		met: make(map[identity.ID]acquaintance), proven: make(map[token.ID]acquaintance),
	}
	n.life, n.end = context.WithCancel(context.Background())
	n.resolvers = append([]Resolver{tokens{book}, codes{n}, addressBook{book, len(o.Hubs) > 0}, introduced{n}}, o.Resolvers...)
	return n
}

// stateFiles are the files in the state folder that say whom this node trusts.
var stateFiles = []string{identity.KnownPeersFile, identity.AuthorizedPeersFile, token.RevokedFile, token.ClaimedFile, agent.KnownFile, agent.IssuersFile, agent.VouchersFile}

// LoadKey is [identity.LoadKey], which makes the key at the first use, with hints. It
// refuses a state folder with a file that other users may write.
func LoadKey(dir string) (*identity.Key, error) {
	if err := statefile.Check(dir, stateFiles...); err != nil {
		return nil, err
	}
	key, err := identity.LoadKey(dir)
	switch {
	case errors.Is(err, identity.ErrExposed):
		return nil, proto.Hint(err, fmt.Sprintf("chmod 600 %q, unless somebody has read it: without it a new key is made", filepath.Join(dir, identity.KeyFile)))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, proto.Hint(err, "set MESH_HOME to a folder of your own")
	}
	return key, err
}

// nextChange returns a channel that is closed at the next change of this machine's network,
// as [roam.Watcher.Next] does.
func (n *Node) nextChange() <-chan struct{} {
	n.watching.Do(func() { n.network = roam.Watch(n.life) })
	return n.network.Next()
}

// untilChange returns a context that ends with ctx, and at the next change of this
// machine's network.
func (n *Node) untilChange(ctx context.Context) (context.Context, context.CancelFunc) {
	changed := n.nextChange()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// SetLimit replaces the limits of all transfers, also of those that go on, if the node has
// limiters that may change: see [ratelimit.NewVariable].
func (n *Node) SetLimit(s ratelimit.Schedule) {
	n.options.Transfers.SendLimit.Set(s)
	n.options.Transfers.ReceiveLimit.Set(s)
}

// Board returns the record of what the node does; nil for none.
func (n *Node) Board() *board.Board { return n.options.Board }

// Post lets mesh status see a tool, until the returned function is called. A tool works
// without it: that it cannot be seen is only logged.
func (n *Node) Post(b *board.Board) (stop func()) {
	stop, err := b.Post(n.Book.Dir)
	if err != nil {
		n.Log.Warn("mesh status cannot see this", "err", err)
		return func() {}
	}
	return stop
}

// Close closes the sockets, which ends every link that is still open, and writes the
// last event: how the tool ended. It returns err, or if that is nil, the first error
// in writing events.
func (n *Node) Close(err error) error {
	n.end()
	n.closeEndpoints()
	n.reporter.end(err)
	if werr := n.reporter.close(); err == nil && werr != nil {
		return proto.Errorf(proto.IO, "write events: %w", werr)
	}
	return err
}
