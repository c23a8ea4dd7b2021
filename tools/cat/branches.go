package cat

import (
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// The bounds of the number of peers that are called at once, and what --lag is by default.
const (
	maxBranches = 16
	defaultLag  = time.Minute
)

// branchOptions is one PEER of several, and the settings that hold for it alone.
type branchOptions struct {
	peer      node.PeerText
	terms     node.PeerTerms
	wait      time.Duration
	resumeFor time.Duration
	flows     int
}

// branchFlags returns the flags for several peers.
func branchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "need", Usage: "several peers: how many, `N`, must have all of it", DefaultText: "all", HasBeenSet: false},
		cmdline.Lag(defaultLag),
	}
}

// branchesOf returns the branches to several peers, and how many of them are needed.
func branchesOf(c *cli.Context, peers []node.PeerText) (list []branchOptions, need int, err error) {
	if len(peers) == 1 {
		for _, flag := range []string{"need", "lag"} {
			if c.IsSet(flag) {
				return nil, 0, proto.Hint(proto.Errorf(proto.Usage, "--%s is for several peers", flag), "mesh-cat --"+flag+" … PEER,PEER,PEER")
			}
		}
		return nil, 0, nil
	}
	if len(peers) > maxBranches {
		return nil, 0, proto.Errorf(proto.Usage, "got %d peers, want at most %d", len(peers), maxBranches)
	}
	need = len(peers)
	if c.IsSet("need") {
		need = c.Int("need")
	}
	if need < 1 || need > len(peers) {
		return nil, 0, proto.Errorf(proto.Usage, "flag --need: %d is not 1 to %d, the number of peers", need, len(peers))
	}
	seen := make(map[string]bool)
	for _, p := range peers {
		if seen[p.Text] {
			return nil, 0, proto.Errorf(proto.Usage, "%s is given twice", shown(p))
		}
		seen[p.Text] = true
		o, err := branchOf(c, p)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, o)
	}
	return list, need, nil
}

// shown is a PEER as an error may show it.
func shown(p node.PeerText) string {
	if p.IsToken() {
		return "a token"
	}
	return proto.QuoteText(p.Text)
}

// branchOf returns the options for one of several peers, with the settings of its own table.
func branchOf(c *cli.Context, p node.PeerText) (branchOptions, error) {
	own := c
	if !p.IsToken() && !strings.HasPrefix(p.Text, "@") {
		var err error
		if own, err = cmdline.ForPeer(c, p.Text); err != nil {
			return branchOptions{}, err
		}
	}
	n := nodeflags.Read(own)
	return branchOptions{
		peer: p, terms: node.PeerTerms{Via: n.Via, Trust: n.Trust},
		wait: own.Duration("wait"), resumeFor: n.ResumeFor, flows: n.Flows,
	}, nil
}

// viaOfAll returns over which paths the node may link to any of the peers.
func viaOfAll(list []branchOptions, all path.Via) path.Via {
	for _, b := range list {
		if b.terms.Via != all {
			return path.Via{}
		}
	}
	return all
}

// mistakenList returns the error for a file here that was taken for a list of peers.
func mistakenList(list []branchOptions, err error) error {
	var words []string
	for _, b := range list {
		words = append(words, b.peer.Text)
	}
	if name := strings.Join(words, ","); exists(name) {
		err := proto.Errorf(proto.Usage, "PEER is missing: %s is a file or folder here", proto.EscapeText(name))
		return proto.Hint(err, "PEER comes before the files: a token, @FILE with a token, or a name")
	}
	return err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
