package node

import (
	"cmp"
	"fmt"
	"slices"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/outfile"
)

// showsTokens reports whether the tokens of an offer are printed. If they are not and
// the user may miss them, withheld says why.
func (n *Node) showsTokens(o Offer) (shows bool, withheld string) {
	switch {
	case len(o.Tokens) == 0, o.ShowToken, o.Once:
		return o.ShowToken || o.TokenFile == "", ""
	case o.TokenFile != "":
		return false, ""
	}
	grants, _ := n.Book.Grants() // a list that cannot be read admits nobody
	byKey := !o.TokenOnly && slices.ContainsFunc(grants, func(g identity.Grant) bool { return g.Caps&o.Caps != 0 })
	terminal := term.IsTerminal(n.options.Stderr)
	switch {
	case terminal && (!byKey || o.Temporary):
		return true, ""
	case n.options.Events != nil, byKey && !terminal:
		return false, ""
	case byKey:
		return false, "nodes that mesh-token allow lists may come; --show-token prints a token for others"
	}
	return false, "the token is not printed, since this may be a log: --token-file FILE writes it, --show-token prints it"
}

// showToken writes a token to the token file, and prints the command that uses it if
// the offer says so. What is printed is for people: scripts read the file, or the event.
func (n *Node) showToken(o Offer, offered TokenOffer, at string, t token.Token) error {
	text, err := t.Encode()
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	n.reporter.listening(at, t, text)
	if o.TokenFile != "" {
		if err := outfile.WriteSecret(o.TokenFile+offered.Suffix, []byte(text+"\n")); err != nil {
			return err
		}
	}
	if !o.ShowToken {
		return nil
	}
	return n.printToken(o, offered, t, text)
}

// otherSide is printed before a command to run, unless the offer says more.
const otherSide = "on the other side"

func (n *Node) printToken(o Offer, offered TokenOffer, t token.Token, text string) error {
	n.printed.Store(true)
	if _, err := fmt.Fprintf(n.options.Stderr, "%s: %s, run: %s\n", n.options.Name, cmp.Or(offered.Where, otherSide), dialCommand(o, t, text)); err != nil {
		return proto.Errorf(proto.IO, "show the token: %w", err)
	}
	return nil
}

// printTokens prints the tokens of an offer that were not shown with it.
func (n *Node) printTokens(o Offer, tokens []token.Token) {
	for i, t := range tokens {
		text, err := t.Encode()
		if err == nil {
			err = n.printToken(o, o.Tokens[i], t, text)
		}
		if err != nil {
			n.Log.Warn("a token is not shown", "err", err)
		}
	}
	n.handOverTokens(o, tokens)
}

// dialCommand is the command line that uses a token. One for many uses must not be
// an argument: it goes in by the environment, or where that does not do, because the
// tool takes FILE arguments behind PEER or does not read it, by a file.
func dialCommand(o Offer, t token.Token, text string) string {
	how := o.Command + " " + text
	switch {
	case t.MultiUse() && (o.Operand != "" || o.NoEnv):
		how = "(umask 077; echo " + text + " >token); " + o.Command + " @token"
	case t.MultiUse():
		how = EnvPeer + "=" + text + " " + o.Command
	}
	if o.Operand != "" {
		how += " " + o.Operand
	}
	return how
}
