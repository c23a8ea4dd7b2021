package node

import (
	"encoding/json"
	"time"

	"mesh/pipe"
	"mesh/pipe/digest"
	"mesh/pipe/progress"
	"mesh/proto"
	"mesh/proto/token"
)

// event is one line of --events. Event says which of the fields are there. The
// fields that a CMD gets too have the names of its MESH_* variables.
type event struct {
	Event string    `json:"event"` // listening, online, code, paired, peer, broken, resumed, path, progress, stored, receipt, delivery, branch, reload, end
	Time  time.Time `json:"time"`

	// listening
	Addr    string     `json:"addr,omitempty"`
	Token   string     `json:"token,omitempty"`
	TokenID string     `json:"token_id,omitempty"`
	Allows  string     `json:"allows,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`

	// peer, broken, resumed, path, progress, stored, receipt, delivery, branch
	PeerID   string `json:"peer_id,omitempty"`
	PeerName string `json:"peer_name,omitempty"`
	PeerAddr string `json:"peer_addr,omitempty"`
	Transfer string `json:"transfer,omitempty"`
	Via      string `json:"via,omitempty"`  // the transport; in a receipt, the last one
	Path     string `json:"path,omitempty"` // in a receipt, the last one
	Trust    Grade  `json:"trust,omitempty"`

	// online: with name; code: with allows; paired: with peer_id, peer_name, allows
	Hub       string `json:"hub,omitempty"`
	ShortCode string `json:"short_code,omitempty"`

	// path: another one than before
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Why  string `json:"why,omitempty"` // better: the link works all the time; lost: it broke
	MS   *int64 `json:"ms,omitempty"`  // since the transfer began

	// progress
	Sent     *int64 `json:"sent,omitempty"`
	Received *int64 `json:"received,omitempty"`
	Done     *int64 `json:"done,omitempty"`  // of total, if that is known
	Total    int64  `json:"total,omitempty"` // bytes of all files, or of a pipe whose size is known
	ETA      *int64 `json:"eta,omitempty"`   // seconds left

	// receipt
	Direction string           `json:"direction,omitempty"` // sent, received
	Bytes     *int64           `json:"bytes,omitempty"`
	BLAKE3    *digest.Digest   `json:"blake3,omitempty"`
	Status    *int             `json:"status,omitempty"`
	Seconds   float64          `json:"seconds,omitempty"`
	MaxBPS    uint64           `json:"max_bps,omitempty"` // of the relay of path, if it has a limit
	Paths     []pipe.PathBytes `json:"paths,omitempty"`   // if there were several
	Flows     int              `json:"flows,omitempty"`   // the most at a time
	Files     *int64           `json:"files,omitempty"`   // of a transfer of files: stored
	Skipped   *int64           `json:"skipped,omitempty"` // and those that were there already
	Excluded  int64            `json:"excluded,omitempty"`

	// stored, with bytes, blake3, and the status of CMD
	File   string `json:"file,omitempty"`
	Stored *int64 `json:"stored,omitempty"` // files that came now

	// delivery: the destination
	Folder string `json:"folder,omitempty"`

	// delivery, branch, reload, end
	Code  *proto.Code `json:"code,omitempty"`
	Name  string      `json:"name,omitempty"`
	Error string      `json:"error,omitempty"`
}

// partyEvent returns an event with the fields for its peer and transfer.
func partyEvent(name string, p Party) event {
	return event{
		Event: name, PeerID: p.ID.String(), PeerName: p.Name, PeerAddr: p.Addr,
		Transfer: p.Transfer.String(), Via: p.Via, Path: p.Path, Trust: p.Trust,
	}
}

// ended returns e with the result: the exit code and the error.
func ended(e event, err error) event {
	code := proto.CodeOf(err)
	e.Code, e.Name = &code, code.String()
	if err != nil {
		e.Error = proto.HideSecrets(err.Error())
	}
	return e
}

// setWork adds how far a transfer has come, if its total is known.
func (e *event) setWork(s progress.State) {
	if !s.Known || s.Total == 0 {
		return
	}
	bytes := min(s.Bytes, s.Total)
	e.Done, e.Total = &bytes, s.Total
	if s.Left >= 0 {
		left := int64(s.Left.Round(time.Second) / time.Second)
		e.ETA = &left
	}
}

// emit writes and logs one event. After a failed write no more are written.
func (r *reporter) emit(e event) {
	r.logEvent(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events == nil || r.err != nil {
		return
	}
	e.Time = time.Now().UTC()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.events.Write(append(line, '\n'))
	}
	r.err = err
}

func (r *reporter) listening(addr string, t token.Token, text string) {
	e := event{Event: "listening", Addr: addr, Token: text, TokenID: t.ID.String(), Allows: t.Caps.String()}
	if !t.Expires.IsZero() {
		expires := t.Expires.UTC()
		e.Expires = &expires
	}
	r.emit(e)
}

func (r *reporter) peer(p Party) { r.emit(partyEvent("peer", p)) }

func (r *reporter) end(err error) { r.emit(ended(event{Event: "end"}, err)) }

// close closes the events, and returns the first error of all that were written.
func (r *reporter) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events == nil {
		return nil
	}
	if err := r.events.Close(); r.err == nil {
		r.err = err
	}
	return r.err
}
