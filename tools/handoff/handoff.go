// Package handoff hands the deliveries of a mesh-listen --inbox to a mesh-recv --next
// of the same user. They talk over a Unix socket that only this user can open, and
// trust each other for that reason. The daemon has the [Queue]; each mesh-recv --next
// is a consumer.
//
//	consumer                               daemon
//	  | want {kinds}                         |
//	  |------------------------------------->|
//	  |                              waiting |  in the queue for these kinds
//	  |<-------------------------------------|
//	  |                give {kind, party …}  |  a delivery has arrived
//	  |<-------------------------------------|
//	  | ready                                |
//	  |------------------------------------->|
//	  |     data … end {status}              |  the bytes of the sender
//	  |<-------------------------------------|
//	  | data … end                           |  files only: the answers to the sender
//	  |------------------------------------->|
//	  | result {code …}                      |  stored, or why not
//	  |------------------------------------->|
//	  |               result {code, course}  |  how the transfer ended, over which paths
//	  |<-------------------------------------|
//
// The daemon may send its result at any earlier time: then the transfer has failed. A
// side that closes the socket before its result has gone away.
package handoff

import (
	"path/filepath"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/tools/node"
)

// socketFile is the name of the socket in the state folder.
const socketFile = "inbox.sock"

// Path returns the path of the daemon's socket in the state folder.
func Path(state string) string { return filepath.Join(state, socketFile) }

// The types of the frames. Their header is that of package wire.
const (
	typeWant    = 'w'
	typeWaiting = 'a'
	typeGive    = 'g'
	typeReady   = 'r'
	typeData    = 'd'
	typeEnd     = 'e'
	typeResult  = 'x'
)

const maxFrameBytes = 256 << 10

// want lists the kinds of transfer that a consumer takes.
type want struct {
	Kinds []string `json:"kinds"`
}

// give describes the delivery for a consumer.
type give struct {
	Kind  string     `json:"kind"`
	Minor int        `json:"minor"` // see [mesh/proto/link.Link]; 0 from an older daemon
	Party node.Party `json:"party"`
}

// end is the end of the data of one side, with the exit status of the producer.
type end struct {
	Status int `json:"status"`
}

// result says how a transfer ended for one side.
type result struct {
	Code       proto.Code    `json:"code"`
	Text       string        `json:"text"`
	Incomplete bool          `json:"incomplete"` // all but some files were stored
	Summary    files.Summary `json:"summary"`
	Course     *course       `json:"course,omitempty"` // from the daemon, at the end; nil from an older one
}

// course is what the daemon alone knows of a transfer: those parts of a [pipe.Receipt].
type course struct {
	Via    string           `json:"via"`
	Path   string           `json:"path"`
	MaxBPS uint64           `json:"max_bps,omitempty"`
	Paths  []pipe.PathBytes `json:"paths,omitempty"`
	Flows  int              `json:"flows"`
}
