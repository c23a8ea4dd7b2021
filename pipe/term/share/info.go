package share

import (
	"slices"
	"time"
)

// Info is what there is to know of one viewer.
type Info struct {
	Number  int       `json:"number"`
	Name    string    `json:"name"`
	PeerID  string    `json:"peer_id"`
	Addr    string    `json:"addr"`
	Rights  string    `json:"rights"`
	Asks    bool      `json:"asks,omitempty"` // for the right to type
	Mode    string    `json:"mode"`
	Cols    int       `json:"cols,omitempty"`
	Rows    int       `json:"rows,omitempty"`
	Joined  time.Time `json:"joined"`
	Typed   int64     `json:"typed"`  // bytes
	Behind  int64     `json:"behind"` // bytes of output that it has yet to show
	Silence float64   `json:"silence"`
}

// List returns the viewers, in the order in which they came.
func (s *Session) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Info
	for _, v := range s.viewers {
		typed, _ := v.typist.taken()
		cols, rows := v.typist.wants()
		out = append(out, Info{
			Number: v.number, Name: v.label, PeerID: v.who.ID, Addr: v.who.Addr, Rights: v.rights().String(), Asks: v.asks, Mode: v.open.Mode,
			Cols: cols, Rows: rows, Joined: v.joined, Typed: typed, Behind: s.history.end - v.seq, Silence: time.Since(v.heard).Seconds(),
		})
	}
	slices.SortFunc(out, func(a, b Info) int { return a.Number - b.Number })
	return out
}
