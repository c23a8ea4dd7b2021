package listen

import (
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/config"
)

// options are what an inbox is told, and is told anew by SIGHUP.
type options struct {
	dir       string // absolute
	byPeer    bool
	name      string // of pipes; "" takes none
	onReceive string
	// onReceiveFor is how long a command may take; 0 for any time.
	onReceiveFor time.Duration
	receive      files.ReceiveOptions
	peers        map[string]peerOptions // by the name in the address book
}

// peerOptions are those of one [peers.NAME]; what is zero is as for all.
type peerOptions struct {
	allow               proto.Caps // narrows only
	dir                 string     // absolute, or a name in dir
	maxBytes, maxNumber int64
}

func optionsOf(c *cli.Context, book identity.Book) (*options, error) {
	o := &options{
		byPeer: c.Bool("by-peer"), name: c.String("name"), onReceive: c.String("on-receive"),
		onReceiveFor: c.Duration("on-receive-timeout"),
		receive: files.ReceiveOptions{
			Force: c.Bool("force"), Rename: c.Bool("rename"), Portable: c.Bool("portable"),
			MaxBytes: cmdline.SizeOf(c, cmdline.MaxSizeName), MaxEntries: c.Int64(cmdline.MaxFilesName),
		},
	}
	force, rename := cmdline.Given(c, "force"), cmdline.Given(c, "rename")
	switch {
	case !o.receive.Force || !o.receive.Rename:
	case force && rename:
		return nil, proto.Errorf(proto.Usage, "either --force or --rename")
	case !force && !rename:
		return nil, proto.Errorf(proto.Config, "inbox.force and inbox.rename are both set")
	default: // the command line wins
		o.receive.Force, o.receive.Rename = force, rename
	}
	if o.name != "" {
		if err := files.CheckTarget(o.name); err != nil {
			return nil, proto.Errorf(proto.Usage, "--name: %w", err)
		}
	}
	var err error
	if o.dir, err = filepath.Abs(c.String("inbox")); err == nil {
		err = cmdline.CheckFolder(o.dir)
	}
	if err != nil {
		return nil, err
	}
	o.peers, err = peersOf(c, book)
	return o, err
}

// peersOf reads the [peers.NAME]. One of a name that nobody has is a mistake: what
// it says would hold for nobody.
func peersOf(c *cli.Context, book identity.Book) (map[string]peerOptions, error) {
	peers := make(map[string]peerOptions)
	for _, t := range cmdline.PeerSettings(c) {
		name := t.Words[0]
		_, found, err := book.Lookup(name)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, proto.Hint(t.Errorf("no such peer is in the address book"), "mesh-token peer add NAME NODEID gives a node its name")
		}
		p := peerOptions{allow: proto.AllCaps}
		for _, key := range []struct {
			name string
			set  func(config.Value) error
		}{
			{"allow", func(v config.Value) (err error) { p.allow, err = proto.ParseCaps(v.Words[0]); return err }},
			{"dir", func(v config.Value) error { p.dir = v.Words[0]; return checkPeerDir(p.dir) }},
			{"max-size", func(v config.Value) error { return limit(v, &p.maxBytes) }},
			{"max-files", func(v config.Value) error { return limit(v, &p.maxNumber) }},
		} {
			v, ok := cmdline.PeerSetting(c, name, key.name)
			if !ok {
				continue
			}
			if err := key.set(v); err != nil {
				return nil, v.Errorf("%w", err)
			}
		}
		peers[name] = p
	}
	return peers, nil
}

// checkPeerDir wants a folder that is there, or a name for one in the inbox.
func checkPeerDir(dir string) error {
	if filepath.IsAbs(dir) {
		return cmdline.CheckFolder(dir)
	}
	if err := files.CheckPath(dir, false); err != nil {
		return err
	}
	return files.CheckTarget(dir)
}

func limit(v config.Value, to *int64) error {
	var s cmdline.Size
	if err := s.Set(v.Words[0]); err != nil {
		return err
	}
	if s == 0 {
		return proto.Errorf(proto.Usage, "it is at least 1")
	}
	*to = int64(s)
	return nil
}

// names are those that a node has in the address book. A book that can't be read
// has none, but says so.
func names(book identity.Book, id identity.ID) (found []string, err error) {
	peers, err := book.Known()
	for _, p := range peers {
		if p.ID == id {
			found = append(found, p.Name)
		}
	}
	return found, err
}

// most is what a node may do at the most: what each of its names allows.
func (o *options) most(book identity.Book, id identity.ID) proto.Caps {
	if len(o.peers) == 0 {
		return proto.AllCaps
	}
	all, err := names(book, id)
	if err != nil {
		return 0 // what it would say is not known
	}
	caps := proto.AllCaps
	for _, name := range all {
		if p, ok := o.peers[name]; ok {
			caps &= p.allow
		}
	}
	return caps
}

// of returns the options of one peer, the first of its names that has some.
func (o *options) of(book identity.Book, id identity.ID) (peerOptions, error) {
	if len(o.peers) == 0 {
		return peerOptions{}, nil
	}
	all, err := names(book, id)
	for _, name := range all {
		if p, ok := o.peers[name]; ok {
			return p, err
		}
	}
	return peerOptions{}, err
}
