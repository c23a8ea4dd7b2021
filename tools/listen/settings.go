package listen

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/tools/cmdline"
	"mesh/tools/config"
	"mesh/tools/job"
	"mesh/tools/node"
	"mesh/tools/silence"
)

// inboxFlags are the flags of an inbox as the command line, the environment and
// config.toml have them. They are read again after a SIGHUP.
type inboxFlags struct {
	dir, name    string
	keep         config.Value // no words for none
	byPeer       bool
	onReceive    string
	onReceiveFor time.Duration
	receive      files.ReceiveOptions

	given map[string]bool // on the command line
	peers []peerTable
	jobs  []config.Value // the keys expect of [jobs.NAME]
	names []string       // of these jobs
}

// peerTable is one [peers.NAME] of config.toml.
type peerTable struct {
	name config.Value // the word is NAME
	keys map[string]config.Value
}

// peerKeys are the keys of [peers.NAME] that an inbox reads.
var peerKeys = []string{"allow", "dir", "keep", "max-size", "max-files", "expect", "expect-name"}

func readInbox(c *cli.Context) inboxFlags {
	f := inboxFlags{
		dir: c.String("inbox"), name: c.String("name"), byPeer: c.Bool("by-peer"),
		onReceive: c.String("on-receive"), onReceiveFor: c.Duration("on-receive-timeout"),
		receive: cmdline.StoreOptions(c), given: cmdline.GivenFlags(c),
	}
	f.keep, _ = cmdline.KeySetting(c, "inbox.keep")
	for _, name := range cmdline.PeerSettings(c) {
		t := peerTable{name: name, keys: make(map[string]config.Value)}
		for _, key := range peerKeys {
			if v, ok := cmdline.PeerSetting(c, name.Words[0], key); ok {
				t.keys[key] = v
			}
		}
		f.peers = append(f.peers, t)
	}
	for _, name := range cmdline.JobSettings(c) {
		if v, ok := cmdline.JobSetting(c, name.Words[0], "expect"); ok {
			f.jobs, f.names = append(f.jobs, v), append(f.names, name.Words[0])
		}
	}
	return f
}

// settings are the checked flags of an inbox.
type settings struct {
	dir       string // absolute
	byPeer    bool
	name      job.Template // of a pipe; "" leaves it to the peer
	keep      int          // pipes of one peer; 0 for all
	onReceive string
	// onReceiveFor limits how long a command may take; 0 for no limit.
	onReceiveFor time.Duration
	receive      files.ReceiveOptions
	peers        map[string]peerSettings // by the name in the address book
	watches      []silence.Watch
}

// peerSettings are those of one [peers.NAME]. A zero field is as for all peers.
type peerSettings struct {
	allow               proto.Caps // narrows only
	dir                 string     // absolute, or a name in the inbox
	keep                int
	maxBytes, maxNumber int64
}

// check returns the settings, with absolute paths, or what is wrong with the flags.
func (f inboxFlags) check(book identity.Book) (*settings, error) {
	s := &settings{byPeer: f.byPeer, name: job.Template(f.name), onReceive: f.onReceive, onReceiveFor: f.onReceiveFor, receive: f.receive}
	if err := errors.Join(
		f.chooseOne("force", &s.receive.Force, "rename", &s.receive.Rename),
		f.chooseOne("portable", &s.receive.Portable, "any-names", &s.receive.AnyNames),
	); err != nil {
		return nil, err
	}
	if err := s.checkName(); err != nil {
		return nil, err
	}
	var err error
	if s.keep, err = s.keepOf(f.keep); err != nil {
		return nil, err
	}
	if s.dir, err = filepath.Abs(f.dir); err == nil {
		err = cmdline.CheckFolder(s.dir)
	}
	if err != nil {
		return nil, err
	}
	s.peers = make(map[string]peerSettings)
	for _, t := range f.peers {
		p, err := t.check(book)
		if err == nil {
			p.keep, err = s.keepOf(t.keys["keep"])
		}
		if err != nil {
			return nil, err
		}
		s.peers[t.name.Words[0]] = p
	}
	s.watches, err = f.watches()
	return s, err
}

// watches returns what is expected of peers and jobs.
func (f inboxFlags) watches() (all []silence.Watch, err error) {
	for _, t := range f.peers {
		name, named := t.keys["expect-name"]
		expect, expects := t.keys["expect"]
		if named && !expects {
			return nil, name.Errorf("it goes with expect")
		}
		if !expects {
			continue
		}
		w := silence.Watch{Kind: silence.Peer, Name: t.name.Words[0]}
		if w.Expect, err = expectation(expect); err != nil {
			return nil, err
		}
		if named {
			w.Pattern = name.Words[0]
			if err := silence.CheckPattern(w.Pattern); err != nil {
				return nil, name.Errorf("%w", err)
			}
		}
		all = append(all, w)
	}
	for i, v := range f.jobs {
		w := silence.Watch{Kind: silence.Job, Name: f.names[i]}
		if w.Expect, err = expectation(v); err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// expectation reads the longest time of silence.
func expectation(v config.Value) (time.Duration, error) {
	var d cmdline.Duration
	if err := d.Set(v.Words[0]); err != nil || time.Duration(d) < time.Minute {
		return 0, v.Errorf("want a time of at least a minute, like 26h")
	}
	return time.Duration(d), nil
}

// checkName refuses what cannot be the name of a pipe.
func (s *settings) checkName() error {
	if s.name == "" {
		return nil
	}
	err := s.name.Check("peer")
	if err == nil {
		err = files.CheckTarget(string(s.name))
	}
	if err != nil {
		return proto.Errorf(proto.Usage, "--name: %w", err)
	}
	return nil
}

// keepOf reads how many pipes are kept; 0 if v has no word. It needs a name of which each
// pipe gets another one.
func (s *settings) keepOf(v config.Value) (int, error) {
	if len(v.Words) == 0 {
		return 0, nil
	}
	n, err := limit(v)
	switch {
	case err != nil:
		return 0, v.Errorf("%w", err)
	case n > maxKeep:
		return 0, v.Errorf("it is at most %d", maxKeep)
	case !s.name.HasTime():
		return 0, proto.Hint(v.Errorf("it goes with a name of pipes that has {date} or {time}"), `in [inbox]: name = "db-{date}.dump"`)
	}
	return int(n), nil
}

// pipeName returns the name under which a pipe of a peer is stored: that of the settings,
// else the one that the peer gives.
func (s *settings) pipeName(l *link.Link, party node.Party) (string, error) {
	if s.name == "" {
		if l.Name == "" {
			return "", proto.Errorf(proto.Declined, "a pipe has no name to be stored under")
		}
		return l.Name, files.CheckPipeName(l.Name, s.receive)
	}
	peer := party.Name
	if peer == "" {
		peer = party.ID.String()
	}
	return s.name.Expand(time.Now(), map[string]string{"peer": peer}), nil
}

// chooseOne clears one of two flags that exclude each other. One on the command line
// wins over one in the settings.
func (f inboxFlags) chooseOne(a string, isA *bool, b string, isB *bool) error {
	switch {
	case !*isA || !*isB:
	case f.given[a] && f.given[b]:
		return proto.Errorf(proto.Usage, "either --%s or --%s", a, b)
	case !f.given[a] && !f.given[b]:
		return proto.Errorf(proto.Config, "inbox.%s and inbox.%s are both set", a, b)
	default:
		*isA, *isB = f.given[a], f.given[b]
	}
	return nil
}

// check reads the settings of one peer. A name that is not in the address book is a
// mistake: no peer would have these settings.
func (t peerTable) check(book identity.Book) (peerSettings, error) {
	p := peerSettings{allow: proto.AllCaps}
	_, found, err := book.Lookup(t.name.Words[0])
	if err != nil {
		return p, err
	}
	if !found {
		return p, proto.Hint(t.name.Errorf("no such peer is in the address book"), "mesh-token peer add NAME NODEID gives a node its name")
	}
	for _, key := range peerKeys {
		v, ok := t.keys[key]
		if !ok {
			continue
		}
		switch key {
		case "allow":
			p.allow, err = proto.ParseCaps(v.Words[0])
		case "dir":
			p.dir = v.Words[0]
			err = checkPeerDir(p.dir)
		case "max-size":
			p.maxBytes, err = limit(v)
		case "max-files":
			p.maxNumber, err = limit(v)
		}
		if err != nil {
			return p, v.Errorf("%w", err)
		}
	}
	return p, nil
}

// checkPeerDir wants an absolute path of a folder that exists, or a name for a folder
// in the inbox.
func checkPeerDir(dir string) error {
	if filepath.IsAbs(dir) {
		return cmdline.CheckFolder(dir)
	}
	if err := files.CheckPath(dir, files.UsualNames); err != nil {
		return err
	}
	return files.CheckTarget(dir)
}

// limit reads a number that is not 0.
func limit(v config.Value) (int64, error) {
	var s cmdline.Size
	if err := s.Set(v.Words[0]); err != nil {
		return 0, err
	}
	if s == 0 {
		return 0, proto.Errorf(proto.Usage, "it is at least 1")
	}
	return int64(s), nil
}

// namesOf returns the names of a node in the address book.
func namesOf(book identity.Book, id identity.ID) (names []string, err error) {
	peers, err := book.Known()
	for _, p := range peers {
		if p.ID == id {
			names = append(names, p.Name)
		}
	}
	return names, err
}

// limitOf returns the most that a node may do: what each of its names allows. It fails
// while the address book can't be read.
func (s *settings) limitOf(book identity.Book, id identity.ID) (proto.Caps, error) {
	if len(s.peers) == 0 {
		return proto.AllCaps, nil
	}
	names, err := namesOf(book, id)
	if err != nil {
		return 0, err
	}
	caps := proto.AllCaps
	for _, name := range names {
		if p, ok := s.peers[name]; ok {
			caps &= p.allow
		}
	}
	return caps, nil
}

// of returns the settings of one node: of the first of its names that has some.
func (s *settings) of(book identity.Book, id identity.ID) (peerSettings, error) {
	if len(s.peers) == 0 {
		return peerSettings{}, nil
	}
	names, err := namesOf(book, id)
	for _, name := range names {
		if p, ok := s.peers[name]; ok {
			return p, err
		}
	}
	return peerSettings{}, err
}
