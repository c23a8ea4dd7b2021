package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/pipe"
	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/handoff"
	"mesh/tools/node"
)

// takeDelivery hands a delivery to a mesh-recv --next that waits for one of its kind,
// or stores it. It returns the folder, "" for none.
func (d *daemon) takeDelivery(ctx context.Context, l *link.Link, party node.Party, got *received) (folder string, err error) {
	if t := d.queue.Assign(ctx, l.Kind, l.Minor, party); t != nil {
		return "", d.handOver(ctx, l, t)
	}
	settings := d.settings.Load()
	peer, err := settings.of(d.node.Book, l.Peer)
	if err != nil {
		err = proto.Errorf(proto.IO, "%w", err) // for the peer it is no question of trust or settings
	}
	name := ""
	if err == nil && l.Kind == wire.KindPipe {
		name, err = settings.pipeName(l, party)
	}
	var root *os.Root
	if err == nil {
		root, folder, err = settings.openFolder(d.node.Book, peer, party)
	}
	if err != nil {
		l.Close(err)
		return folder, err
	}
	defer root.Close()
	s := &delivery{daemon: d, settings: settings, party: party, got: got, folder: folder, root: root, name: name, keep: settings.keep, maxBytes: settings.receive.MaxBytes}
	if peer.maxBytes > 0 {
		s.maxBytes = peer.maxBytes
	}
	if peer.keep > 0 {
		s.keep = peer.keep
	}
	if l.Kind == wire.KindPipe {
		return folder, s.storePipe(ctx, l)
	}
	return folder, s.storeFiles(ctx, l, root, peer)
}

// handOver gives a delivery to a mesh-recv --next.
func (d *daemon) handOver(ctx context.Context, l *link.Link, t *handoff.Consumer) error {
	var receipt *pipe.Receipt
	var err error
	if l.Kind == wire.KindPipe {
		ctx, fail := context.WithCancelCause(ctx)
		defer fail(nil)
		receipt, err = d.node.Receive(ctx, l, t.Sink(fail))
	} else {
		receipt, err = d.node.ReceiveFiles(ctx, l, nil, t.Files)
	}
	t.End(receipt, err)
	return err
}

// openFolder opens the folder for the deliveries of a peer. One within the inbox is
// made if it is missing. With --by-peer it fails while the address book may have a name
// for the peer and cannot be read: another folder would be the wrong one.
func (s *settings) openFolder(book identity.Book, peer peerSettings, party node.Party) (*os.Root, string, error) {
	name := ""
	switch {
	case filepath.IsAbs(peer.dir):
		root, err := os.OpenRoot(peer.dir)
		if err != nil {
			return nil, peer.dir, proto.IOError(err)
		}
		return root, peer.dir, nil
	case peer.dir != "":
		name = peer.dir
	case s.byPeer && party.Name != "":
		name = party.Name
	case s.byPeer:
		if _, err := book.Known(); err != nil {
			return nil, "", proto.Errorf(proto.IO, "%w", err)
		}
		name = party.ID.String()
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, s.dir, proto.IOError(err)
	}
	if name == "" {
		return root, s.dir, nil
	}
	defer root.Close()
	folder := filepath.Join(s.dir, name)
	in, err := openIn(root, name, folder)
	return in, folder, err
}

// openIn opens the folder called name in root, and makes it if it is missing. The
// whole path is for messages. A symbolic link is refused.
func openIn(root *os.Root, name, path string) (*os.Root, error) {
	if err := root.Mkdir(name, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, proto.IOError(err)
	}
	info, err := root.Lstat(name)
	if err != nil {
		return nil, proto.IOError(err)
	}
	if !info.IsDir() {
		return nil, proto.Errorf(proto.Unsafe, "%s is not a folder", path)
	}
	in, err := root.OpenRoot(name)
	if err != nil {
		return nil, proto.IOError(err)
	}
	return in, nil
}

// delivery is one that is being stored.
type delivery struct {
	*daemon
	settings *settings
	party    node.Party
	got      *received
	folder   string
	root     *os.Root // of folder
	name     string   // of a pipe
	keep     int      // pipes of this peer; 0 for all
	maxBytes int64    // 0 for no limit
}

func (d *delivery) storeFiles(ctx context.Context, l *link.Link, root *os.Root, peer peerSettings) error {
	o := d.settings.receive
	o.MaxBytes, o.Owner, o.Ledger, o.Warn = d.maxBytes, l.Peer.String(), d.node.Ledger, d.warn
	o.Minor1, o.Counts, o.Progress = l.Minor >= 1, l.Minor >= wire.CountMinor, d.node.NewProgress()
	o.Arrived = func(a files.Arrival) error { return d.arrived(ctx, a) }
	if peer.maxNumber > 0 {
		o.MaxEntries = peer.maxNumber
	}
	complain := d.streams.Complaints()
	o.Report = func(path string, err error) { complain("from "+d.party.Label()+": "+path, err) }
	_, err := d.node.ReceiveFiles(ctx, l, o.Progress, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Receive(ctx, root, from, to, o)
	})
	return err
}

// warn prints what the file system of the folder lacks.
func (d *delivery) warn(err error) {
	d.streams.Warn(fmt.Errorf("%s: %w", proto.EscapeText(d.folder), err))
}

// storePipe stores a pipe as one file.
func (d *delivery) storePipe(ctx context.Context, l *link.Link) error {
	path := filepath.Join(d.folder, d.name)
	create := func() (*files.Pending, error) { return files.Create(path, d.settings.receive.Force, d.warn) }
	if d.settings.receive.Rename {
		create = func() (*files.Pending, error) { return files.CreateNumbered(path, d.warn) }
	}
	file, err := create()
	if errors.Is(err, fs.ErrExist) {
		if same, serr := files.OpenSame(path, d.node.Ledger, l.Peer.String()); serr == nil {
			defer same.Close()
			return d.comparePipe(ctx, l, same)
		}
	}
	if err != nil {
		l.Close(err)
		return err
	}
	defer file.Abort()
	w := &bounded{w: file, most: d.maxBytes, hash: digest.New()}
	return d.node.Exchange(ctx, l, nil, &pipe.Sink{Writer: w, Finish: func(status int) error {
		if status != 0 {
			return nil // not published; the exchange ends with 33
		}
		if err := file.Commit(); err != nil {
			return err
		}
		sum := w.hash.Sum()
		if err := file.Note(d.node.Ledger, l.Peer.String(), sum); err != nil {
			d.warn(err)
		}
		d.removeOld(l, file.Base())
		return d.arrived(ctx, files.Arrival{Name: file.Base(), Bytes: w.bytes, Digest: &sum, Stored: 1})
	}})
}

// removeOld keeps the newest pipes of a peer, of which the last one is called name.
func (d *delivery) removeOld(l *link.Link, name string) {
	if d.keep == 0 {
		return
	}
	s := newShelf(d.node.Book.Dir, d.folder, l.Peer.String(), string(d.settings.name), d.keep)
	if err := s.add(d.root, name); err != nil {
		d.warn(fmt.Errorf("older pipes than the last %d stay: %w", d.keep, err))
	}
}

// comparePipe receives a pipe whose file exists already, and accepts it if that has
// the same content. A sender repeats its command if it did not hear of the end.
func (d *delivery) comparePipe(ctx context.Context, l *link.Link, same *files.Same) error {
	w := &bounded{w: io.Discard, most: d.maxBytes, hash: digest.New()}
	return d.node.Exchange(ctx, l, nil, &pipe.Sink{Writer: w, Finish: func(status int) error {
		if status != 0 {
			return nil
		}
		sum := w.hash.Sum()
		if err := same.Finish(w.bytes, sum); err != nil {
			return err
		}
		return d.arrived(ctx, files.Arrival{Name: d.name, Bytes: w.bytes, Digest: &sum})
	}})
}

// bounded is a writer that fails once it gets more than so many bytes, 0 for no limit,
// and digests them.
type bounded struct {
	w           io.Writer
	most, bytes int64
	hash        *digest.Hasher
}

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	if b.most > 0 && int64(len(p)) > b.most-b.bytes {
		return 0, proto.Errorf(proto.Space, "the peer sends more than the %d bytes that are allowed", b.most)
	}
	n, err := b.w.Write(p)
	_, _ = b.hash.Write(p[:n]) // never fails
	b.bytes += int64(n)
	return n, err
}

// arrived runs the command for a file that is stored. A command that fails is
// reported, and changes nothing. But if the daemon's own end interrupts it, the
// delivery fails: so the sender repeats it, and the command runs again.
func (d *delivery) arrived(ctx context.Context, a files.Arrival) error {
	path := filepath.Join(d.folder, a.Name)
	d.got.add(a)
	if d.settings.onReceive == "" {
		d.node.Stored(d.party, path, a, nil)
		return nil
	}
	status, err := d.runCommand(ctx, path, a)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && status != 0 {
		err = proto.Errorf(proto.Consumer, "the command ended with status %d", status)
	}
	if err != nil {
		d.streams.Complain(fmt.Errorf("on-receive for %s: %w", proto.EscapeText(path), err))
	}
	d.node.Stored(d.party, path, a, &status)
	return nil
}

// runCommand runs the command of --on-receive for a stored file.
func (d *delivery) runCommand(ctx context.Context, path string, a files.Arrival) (status int, err error) {
	sum := ""
	if a.Digest != nil {
		sum = a.Digest.String()
	}
	env := append(d.party.Env(), "MESH_FILE="+path, fmt.Sprint("MESH_BYTES=", a.Bytes), "MESH_BLAKE3="+sum, fmt.Sprint("MESH_STORED=", a.Stored))
	if limit := d.settings.onReceiveFor; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, proto.Errorf(proto.Timeout, "the command took longer than %s, and was ended", limit))
		defer cancel()
	}
	status, err = command.Run(ctx, shell(d.settings.onReceive), command.Options{
		Stdout: cmdline.FromPeer(d.streams.Out), Stderr: cmdline.FromPeer(d.streams.Err), Env: env, Group: true,
	})
	if err != nil && ctx.Err() != nil {
		status = int(proto.Terminated)
	}
	return status, err
}

// shell is the command that runs the text of --on-receive. The user wrote it: no
// word of a peer is ever in it.
func shell(text string) []string { return []string{"/bin/sh", "-c", text} }
