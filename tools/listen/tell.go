package listen

import (
	"context"
	"fmt"
	"sync"

	"mesh/pipe/files"
	"mesh/proto/link"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/notify"
	"mesh/tools/silence"
)

// received are the files of a delivery that were stored. It may be used by many
// goroutines.
type received struct {
	mu    sync.Mutex
	names []string
	bytes int64
}

// maxReceived bounds the names that are kept of one delivery.
const maxReceived = 100_000

func (r *received) add(a files.Arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes += a.Bytes; len(r.names) < maxReceived {
		r.names = append(r.names, a.Name)
	}
}

// startTelling starts what tells a person of deliveries and of silence. stop waits up to
// 3 s for what is left to be told.
func (d *daemon) startTelling() (stop func(), err error) {
	settings, err := cmdline.ReadNotify()
	if err != nil {
		return nil, err
	}
	d.notifier = notify.NewDaemon(settings, d.node.Book.Dir, d.node.Log)
	watches := d.settings.Load().watches
	if len(watches) > 0 && !settings.Tells() {
		d.streams.Warn(fmt.Errorf("expect is set, and [notify] has no channel: nobody is told"))
	}
	d.alarm = silence.New(d.node.Book.Dir, watches, d.notifier.Post, d.notifier.Repeat, d.streams.Warnings())
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.notifier.Run(ctx) })
	wg.Go(func() { d.alarm.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}, nil
}

// tellDelivery tells how a delivery has ended.
func (d *daemon) tellDelivery(l *link.Link, p node.Party, folder string, got *received, err error) {
	if err == nil {
		names, _ := namesOf(d.node.Book, l.Peer) // without a name nothing is expected of it
		d.alarm.Arrived(names, got.names)
	}
	cause := "peer/" + p.ID.String()
	if l.Token != nil && p.Name == "" { // the bearer of a token may be another node each time
		cause = "token/" + l.Token.String()
	}
	d.notifier.PostEnd(notify.Message{
		Event: notify.EventDelivery, Tool: d.streams.Name, Err: err, Subject: cause, From: cause, Peer: p.Label(),
		PeerID: p.ID.String(), PeerName: p.Name, PeerAddr: p.Addr, Transfer: p.Transfer.String(), Via: p.Via, Path: p.Path, Trust: string(p.Trust),
		Folder: folder, Bytes: &got.bytes,
	})
}
