// Package node is what the tools that link have in common: who we are, how a
// PEER on the command line becomes a link, how a peer is waited for, and what
// is told of a transfer, to people and to scripts.
package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
)

// Node is this node, for one run of a tool.
type Node struct {
	Key  *identity.Key
	Book identity.Book
	Log  *slog.Logger

	via       string
	window    int64
	transfers pipe.Options
	tell      *teller
}

// Open loads the node key, which it makes at the first use, and opens what
// --events, -q and -v ask for. Close it with the tool's error.
func Open(c *cli.Context) (*Node, error) {
	state, err := cmdline.Home()
	if err != nil {
		return nil, err
	}
	key, err := LoadKey(state)
	if err != nil {
		return nil, err
	}
	tell, err := newTeller(c)
	if err != nil {
		return nil, err
	}
	n := &Node{Key: key, Book: identity.Book{Dir: state}, Log: cmdline.Logger(c), via: c.String("via"), window: cmdline.SizeOf(c, cmdline.WindowName), tell: tell}
	n.transfers = pipe.Options{ResumeFor: c.Duration("resume-for"), Flows: cmdline.FlowsOf(c), Spool: cmdline.SizeOf(c, cmdline.SpoolName), Log: n.Log}
	return n, nil
}

// LoadKey is [identity.LoadKey] with what a person can do where it fails.
func LoadKey(dir string) (*identity.Key, error) {
	key, err := identity.LoadKey(dir)
	switch {
	case errors.Is(err, identity.ErrExposed):
		return nil, proto.Hint(err, fmt.Sprintf("chmod 600 %q, unless somebody has read it: without it a new key is made", filepath.Join(dir, identity.KeyFile)))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, proto.Hint(err, "set MESH_HOME to a folder of your own")
	}
	return key, err
}

// Close writes the last event, how the tool ended, and returns err, or what
// failed in writing events if nothing else did.
func (n *Node) Close(err error) error {
	n.tell.end(err)
	if werr := n.tell.close(); err == nil && werr != nil {
		return proto.Errorf(proto.IO, "write events: %w", werr)
	}
	return err
}
