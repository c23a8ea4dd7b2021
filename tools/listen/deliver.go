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
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/handoff"
	"mesh/tools/node"
)

// take hands a delivery to a mesh-recv --next that waits for one of its kind, or
// stores it, and returns where.
func (d *daemon) take(l *link.Link, party node.Party) (folder string, err error) {
	if t := d.desk.Take(d.running, l.Kind, party); t != nil {
		return "", d.hand(l, t)
	}
	o := d.options.Load()
	peer, err := o.of(d.node.Book, l.Peer)
	if err == nil && l.Kind == wire.KindPipe && o.name == "" {
		err = proto.Errorf(proto.Declined, "a pipe has no name to be stored under")
	}
	var root *os.Root
	if err == nil {
		root, folder, err = o.open(peer, party)
	}
	if err != nil {
		l.Close(err)
		return folder, err
	}
	defer root.Close()
	s := &storing{daemon: d, options: o, party: party, folder: folder}
	if peer.maxBytes > 0 {
		s.maxBytes = peer.maxBytes
	} else {
		s.maxBytes = o.receive.MaxBytes
	}
	if l.Kind == wire.KindPipe {
		return folder, s.pipe(l)
	}
	return folder, s.files(l, root, peer)
}

// hand gives a delivery to a mesh-recv --next.
func (d *daemon) hand(l *link.Link, t *handoff.Taker) error {
	var err error
	if l.Kind == wire.KindPipe {
		ctx, fail := context.WithCancelCause(d.running)
		defer fail(nil)
		err = d.node.Exchange(ctx, l, nil, t.Sink(fail))
	} else {
		err = d.node.Files(d.running, l, false, t.Files)
	}
	t.Ended(err)
	return err
}

// open opens the folder that a peer's deliveries go to, and makes it if it is in
// the inbox.
func (o *options) open(peer peerOptions, party node.Party) (*os.Root, string, error) {
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
	case o.byPeer && party.Name != "":
		name = party.Name
	case o.byPeer:
		name = party.ID.String()
	}
	root, err := os.OpenRoot(o.dir)
	if err != nil || name == "" {
		if err != nil {
			err = proto.IOError(err)
		}
		return root, o.dir, err
	}
	defer root.Close()
	folder := filepath.Join(o.dir, name)
	if err := root.Mkdir(name, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, folder, proto.IOError(err)
	}
	info, err := root.Lstat(name)
	if err != nil {
		return nil, folder, proto.IOError(err)
	}
	if !info.IsDir() {
		return nil, folder, proto.Errorf(proto.Unsafe, "%s is not a folder", folder)
	}
	in, err := root.OpenRoot(name)
	if err != nil {
		return nil, folder, proto.IOError(err)
	}
	return in, folder, nil
}

// storing is one delivery that is being stored.
type storing struct {
	*daemon
	options  *options
	party    node.Party
	folder   string
	maxBytes int64
}

func (s *storing) files(l *link.Link, root *os.Root, peer peerOptions) error {
	ro := s.options.receive
	ro.MaxBytes, ro.Owner, ro.Arrived = s.maxBytes, l.Peer.String(), s.arrived
	if peer.maxNumber > 0 {
		ro.MaxEntries = peer.maxNumber
	}
	complain := cmdline.StreamsOf(s.c).Complaints()
	ro.Report = func(path string, err error) { complain("from "+s.party.Label()+": "+path, err) }
	return s.node.Files(s.running, l, false, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Receive(ctx, root, from, to, ro)
	})
}

// pipe stores a pipe as one file.
func (s *storing) pipe(l *link.Link) error {
	path := filepath.Join(s.folder, s.options.name)
	create := func() (*files.Pending, error) { return files.Create(path, s.options.receive.Force) }
	if s.options.receive.Rename {
		create = func() (*files.Pending, error) { return files.CreateNumbered(path) }
	}
	file, err := create()
	if errors.Is(err, fs.ErrExist) {
		if same, serr := files.OpenSame(path); serr == nil {
			defer same.Close()
			return s.again(l, same)
		}
	}
	if err != nil {
		l.Close(err)
		return err
	}
	defer file.Abort()
	w := &bounded{w: file, most: s.maxBytes, hash: digest.New()}
	return s.node.Exchange(s.running, l, nil, &pipe.Sink{Writer: w, Finish: func(status int) error {
		if status != 0 {
			return nil // not published; the exchange ends with 33
		}
		if err := file.Commit(); err != nil {
			return err
		}
		sum := w.hash.Sum()
		return s.arrived(files.Arrival{Name: file.Base(), Bytes: w.bytes, Digest: &sum, Stored: 1})
	}})
}

// again takes a pipe whose name is taken, which may be what is there already: of a
// sender that was not told so, and repeats its command.
func (s *storing) again(l *link.Link, same *files.Same) error {
	w := &bounded{w: io.Discard, most: s.maxBytes, hash: digest.New()}
	return s.node.Exchange(s.running, l, nil, &pipe.Sink{Writer: w, Finish: func(status int) error {
		if status != 0 {
			return nil
		}
		sum := w.hash.Sum()
		if err := same.Finish(w.bytes, sum); err != nil {
			return err
		}
		return s.arrived(files.Arrival{Name: s.options.name, Bytes: w.bytes, Digest: &sum})
	}})
}

// bounded is a writer that takes no more than so many bytes, 0 for any number,
// and digests them.
type bounded struct {
	w           io.Writer
	most, bytes int64
	hash        *digest.Hasher
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.most > 0 && int64(len(p)) > b.most-b.bytes {
		return 0, proto.Errorf(proto.Space, "the peer sends more than the %d bytes that are allowed", b.most)
	}
	n, err := b.w.Write(p)
	_, _ = b.hash.Write(p[:n]) // never fails
	b.bytes += int64(n)
	return n, err
}

// arrived runs the command for what is stored. That the command fails is told, and
// changes nothing; but if it could not come to its end because we must, the sender
// is not told of the end either, so that it is run when the delivery is repeated.
func (s *storing) arrived(a files.Arrival) error {
	path := filepath.Join(s.folder, a.Name)
	if s.options.onReceive == "" {
		s.node.Stored(s.party, path, a, nil)
		return nil
	}
	sum := ""
	if a.Digest != nil {
		sum = a.Digest.String()
	}
	env := append(s.party.Env(), "MESH_FILE="+path, fmt.Sprint("MESH_BYTES=", a.Bytes), "MESH_BLAKE3="+sum, fmt.Sprint("MESH_STORED=", a.Stored))
	ctx, cancel := s.running, context.CancelFunc(func() {})
	if limit := s.options.onReceiveFor; limit > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, limit, proto.Errorf(proto.Timeout, "the command was ended, which took longer than %s", limit))
	}
	defer cancel()
	status, err := command.Run(ctx, shell(s.options.onReceive), command.Options{Stdout: s.c.App.Writer, Stderr: s.c.App.ErrWriter, Env: env, Group: true})
	if s.running.Err() != nil {
		return context.Cause(s.running)
	}
	if err != nil && ctx.Err() != nil {
		status = int(proto.Terminated)
	}
	if err == nil && status != 0 {
		err = proto.Errorf(proto.Producer, "the command ended with status %d", status)
	}
	if err != nil {
		cmdline.Complain(s.c, fmt.Errorf("on-receive for %s: %w", proto.EscapeText(path), err))
	}
	s.node.Stored(s.party, path, a, &status)
	return nil
}

// shell runs a command that a person wrote. Nothing of a peer is ever in it.
func shell(text string) []string { return []string{"/bin/sh", "-c", text} }
