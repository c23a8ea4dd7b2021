package node

import (
	"strings"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/tools/paste"
)

// PeerTerms are what holds for one peer of several. Each field stands for that of [Options].
type PeerTerms struct {
	Via   path.Via // within that of the node
	Trust string
}

// via returns over which paths p may be linked to.
func (n *Node) via(p Peer) path.Via {
	if p.Terms != nil {
		return p.Terms.Via
	}
	return n.options.Via
}

// trust returns the least proof of the key of p: see [Options.Trust].
func (n *Node) trust(p Peer) string {
	if p.Terms != nil {
		return p.Terms.Trust
	}
	return n.options.Trust
}

// PeersOf is [PeerOf] for a tool that calls several peers at once: its first argument, or
// the variable, may be a list of PEERs with commas. The only @FILE may have commas in its
// name.
func PeersOf(args []string, env string) (peers []PeerText, rest []string, err error) {
	list, argument := env, len(args) > 0
	if argument {
		args = paste.Unprompt(args)
		list, rest = args[0], args[1:]
	}
	words := strings.Split(paste.PeerWord(list), ",")
	if len(words) == 1 || isTokenFile(list) {
		p, rest, err := PeerOf(args, env)
		return []PeerText{p}, rest, err
	}
	for _, word := range words {
		p := PeerText{word, argument}.tidy()
		if p.Text == "" || p.Text == "@" {
			return nil, nil, proto.Hint(proto.Errorf(proto.Usage, "a PEER is missing between two commas"), "PEER,PEER… without blanks; no PEER of a list has a comma in it, nor has FILE in @FILE")
		}
		if p.IsToken() {
			t, _, err := p.Token()
			if err != nil {
				return nil, nil, err
			}
			if p.Text, err = t.Encode(); err != nil {
				return nil, nil, err
			}
		}
		peers = append(peers, p)
	}
	return peers, rest, checkRest(rest)
}
