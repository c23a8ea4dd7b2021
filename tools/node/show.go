package node

import (
	"fmt"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/tools/outfile"
)

// showToken writes a token to the token file, or prints the command that uses it.
// What is printed is for people: scripts read the file, or the event.
func (n *Node) showToken(o Offer, offered TokenOffer, at string, t token.Token) error {
	text, err := t.Encode()
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	n.reporter.listening(at, t, text)
	if o.TokenFile != "" {
		return outfile.Write(o.TokenFile+offered.Suffix, []byte(text+"\n"), 0o600)
	}
	where := offered.Where
	if where == "" {
		where = "on the other side"
	}
	if _, err := fmt.Fprintf(n.options.Stderr, "%s: %s, run: %s\n", n.options.Name, where, dialCommand(o, t, text)); err != nil {
		return proto.Errorf(proto.IO, "show the token: %w", err)
	}
	return nil
}

// dialCommand is the command line that uses a token. One for many uses must not be
// an argument: it goes in by the environment, or where that does not do, because the
// tool takes FILE arguments behind PEER, by a file.
func dialCommand(o Offer, t token.Token, text string) string {
	how := o.Command + " " + text
	switch {
	case t.MultiUse() && o.Operand != "":
		how = "(umask 077; echo " + text + " >token); " + o.Command + " @token"
	case t.MultiUse():
		how = EnvPeer + "=" + text + " " + o.Command
	}
	if o.Operand != "" {
		how += " " + o.Operand
	}
	return how
}
