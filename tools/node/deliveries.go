package node

import (
	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
)

// What a daemon tells, and a tool that takes a delivery from one.

// Listening tells that peers may come at an address, with no token of ours.
func (n *Node) Listening(addr string) { n.tell.emit(event{Event: "listening", Addr: addr}) }

// Follow tells of a delivery that another process has the link of: of its peer, of
// its progress to sink, nil for files, and when the returned function is called,
// of its receipt, if there is one.
func (n *Node) Follow(p Party, counters *pipe.Counters, sink *pipe.Sink) (done func(*pipe.Receipt, *files.Summary)) {
	n.tell.peer(p)
	stop := n.tell.watch(func() Party { return p }, counters, screenOf(nil, sink), new(outage))
	return func(r *pipe.Receipt, sum *files.Summary) {
		stop()
		n.tell.receipt(p, "received", "from", r, sum)
	}
}

// Stored tells of what has arrived at path, and the exit status of the command
// that was run for it, nil if there is none.
func (n *Node) Stored(p Party, path string, a files.Arrival, status *int) {
	e := about("stored", p)
	e.File, e.Bytes, e.BLAKE3, e.Stored, e.Status = path, &a.Bytes, a.Digest, &a.Stored, status
	n.tell.emit(e)
	n.Log.Info("stored", "peer", p.Label(), "transfer", p.Transfer, "file", path, "bytes", a.Bytes)
}

// Delivered tells how a delivery to a folder, "" for none, has ended.
func (n *Node) Delivered(p Party, folder string, err error) {
	e := about("delivery", p)
	e.Folder = folder
	n.tell.emit(ended(e, err))
	n.Log.Info("delivery", "peer", p.Label(), "transfer", p.Transfer, "folder", folder, "end", proto.CodeOf(err))
}

// Reloaded tells that the settings were read again, or why not.
func (n *Node) Reloaded(err error) {
	n.tell.emit(ended(event{Event: "reload"}, err))
	n.Log.Info("settings read again", "end", proto.CodeOf(err))
}
