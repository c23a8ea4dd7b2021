package node

import (
	"path/filepath"

	"mesh/pipe"
	"mesh/pipe/files"
)

// These are the reports of a daemon, and of a tool that takes a delivery from one.

// ledgerFolder is in the state folder.
const ledgerFolder = "stored"

func openLedger(state string) *files.Ledger {
	if state == "" {
		return nil
	}
	return files.NewLedger(filepath.Join(state, ledgerFolder))
}

// Listening reports that peers may come to an address, without a token of this
// process.
func (n *Node) Listening(addr string) { n.reporter.emit(event{Event: "listening", Addr: addr}) }

// Follow reports a delivery whose link another process has: its peer, and its
// progress to sink, nil for files, whose side counts in count. The returned function ends that, and reports the
// receipt unless it is nil.
func (n *Node) Follow(p Party, counters *pipe.Counters, sink *pipe.Sink, count *files.Progress) (done func(*pipe.Receipt, *files.Summary)) {
	n.reporter.peer(p)
	on := screenOf(nil, sink)
	on.files = count
	stop := n.reporter.watch(func() Party { return p }, counters, on, new(outage))
	return func(r *pipe.Receipt, sum *files.Summary) {
		stop()
		n.reporter.receipt(p, received, r, sum)
	}
}

// Stored reports what has arrived at path, and the exit status of the command that
// was run for it, nil if there is none.
func (n *Node) Stored(p Party, path string, a files.Arrival, status *int) {
	e := partyEvent("stored", p)
	e.File, e.Bytes, e.BLAKE3, e.Stored, e.Status = path, &a.Bytes, a.Digest, &a.Stored, status
	n.reporter.emit(e)
	n.options.Board.Stored(p.Name, p.Transfer.String(), filepath.Base(path), a.Bytes, a.Stored > 0, status)
}

// Delivered reports how a delivery to a folder, "" for none, has ended.
func (n *Node) Delivered(p Party, folder string, err error) {
	e := partyEvent("delivery", p)
	e.Folder = folder
	n.reporter.emit(ended(e, err))
	n.options.Board.Delivered(p.Name, err)
}

// Reloaded reports that the settings were read again, or why not.
func (n *Node) Reloaded(err error) {
	n.reporter.emit(ended(event{Event: "reload"}, err))
}
