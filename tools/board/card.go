// Package board is what a running tool tells mesh status: which tool it is, whom it
// serves now, and what it has done since it began.
//
// Each such tool has a socket in the folder run of the state folder, which only its user
// can open. Whoever connects gets a [Card], one JSON object, and the connection ends.
package board

import (
	"slices"
	"time"
)

// The modes of a tool.
const (
	ModeInbox    = "inbox"    // stores what peers send
	ModeOffer    = "offer"    // lets peers take files
	ModeCommand  = "command"  // runs a command for each peer
	ModePipe     = "pipe"     // joins one peer to standard input and output
	ModeTerminal = "terminal" // shares a terminal
	ModeHub      = "hub"      // is a hub
)

// Card is the state of one running tool. Texts in it may come from peers: escape them.
type Card struct {
	Mode    string    `json:"mode"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Begun   time.Time `json:"begun"`
	// What says which of its kind it is: the folder of an inbox, the first of the files, the
	// command, the name of a terminal, the URL of a hub.
	What string `json:"what,omitempty"`
	// Free and Size are the bytes of the inbox's file system; absent if they are not known.
	Free *int64 `json:"free_bytes,omitempty"`
	Size *int64 `json:"size_bytes,omitempty"`
	// Places is how many peers are served at a time, Taken how many are.
	Places int `json:"places,omitempty"`
	Taken  int `json:"taken"`

	Transfers []Transfer `json:"transfers,omitempty"`
	Peers     []Peer     `json:"peers,omitempty"` // that have delivered, or are overdue; sorted by name
	Hubs      []Hub      `json:"hubs,omitempty"`
	Terminal  *Terminal  `json:"terminal,omitempty"`
	Server    *Server    `json:"server,omitempty"`

	// Silent is why there is no more than Mode: the tool did not answer. [Ask] sets it.
	Silent string `json:"silent,omitempty"`
}

// Transfer is one that goes on.
type Transfer struct {
	Peer      string    `json:"peer"`           // a name of the address book, or the short id
	Name      string    `json:"name,omitempty"` // of the last file that was stored
	Kind      string    `json:"kind"`
	Direction string    `json:"direction"` // sent or received
	Begun     time.Time `json:"begun"`
	Bytes     int64     `json:"bytes"`
	Total     int64     `json:"total,omitempty"` // 0: not known
	// Rate is bytes per second since the begin.
	Rate float64 `json:"rate"`
	Via  string  `json:"via"`
	Path string  `json:"path"`
	Addr string  `json:"addr"`
	// Broken is for how many seconds the link has been broken; 0 if it works.
	Broken float64 `json:"broken,omitempty"`
}

// Peer is a peer of an inbox, by its name in the address book; [Other] for all that have none.
type Peer struct {
	Name       string    `json:"name"`
	Deliveries int64     `json:"deliveries"` // since the inbox began
	Failed     int64     `json:"failed,omitempty"`
	Bytes      int64     `json:"bytes"`
	Last       time.Time `json:"last,omitzero"`   // the last good one
	Expect     float64   `json:"expect,omitzero"` // seconds between two deliveries
	Overdue    bool      `json:"overdue,omitempty"`
}

// Expect notes that a peer is expected to deliver, and when its last good delivery came,
// also before the tool began.
func (c *Card) Expect(name string, every time.Duration, last time.Time, overdue bool) {
	i := slices.IndexFunc(c.Peers, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		i = len(c.Peers)
		c.Peers = append(c.Peers, Peer{Name: name})
	}
	p := &c.Peers[i]
	p.Expect, p.Overdue = every.Seconds(), overdue
	if last.After(p.Last) {
		p.Last = last
	}
}

// Other stands for all peers without a name in the address book: strangers must not fill
// lists.
const Other = "other"

// Hub is a hub at which the tool is.
type Hub struct {
	Host  string    `json:"host"`
	As    string    `json:"as,omitempty"` // the name there
	Since time.Time `json:"since"`        // of the state
	Error string    `json:"error,omitempty"`
}

// Terminal is a shared terminal.
type Terminal struct {
	Viewers   int      `json:"viewers"`
	Writers   []string `json:"writers,omitempty"` // who typed lately
	Asking    []string `json:"asking,omitempty"`  // who asks to type
	Paused    bool     `json:"paused,omitempty"`
	Snapshots int64    `json:"snapshots"` // that viewers got, since it began
}

// Server is what a hub holds.
type Server struct {
	Online   int  `json:"online"`
	Members  int  `json:"members"`
	Sessions int  `json:"sessions"`
	Relayed  int  `json:"relayed"` // pairs of nodes
	Draining bool `json:"draining,omitempty"`
}
