package node

import (
	"fmt"
	"os"
	"strings"

	"mesh/pipe/term"
	"mesh/pipe/term/qr"
	"mesh/proto"
	"mesh/proto/token"
)

// checkHandOver refuses [Offer.QR] and [Offer.Copy] where they can do nothing.
func (n *Node) checkHandOver(o Offer) error {
	flag := "--qr"
	switch {
	case !o.QR && !o.Copy:
		return nil
	case !o.QR:
		flag = "--copy"
	}
	switch {
	case !term.IsTerminal(n.options.Stderr):
		return proto.Errorf(proto.Usage, "%s needs a terminal, and standard error is none", flag)
	case o.TokenFile != "" && !o.ShowToken:
		return proto.Hint(proto.Errorf(proto.Usage, "%s is of what is shown, and with --token-file nothing is", flag), "--show-token shows the token too")
	}
	return nil
}

// handOver brings what the other side types to that side without typing, as the offer
// wants it: a QR code of word, a token or a code, and the whole command in the clipboard.
// The clipboard has room for one command, so it gets the first of an offer.
func (n *Node) handOver(o Offer, word, command string, first bool) {
	screen, ok := n.options.Stderr.(*os.File)
	if !ok {
		return
	}
	if o.QR {
		n.drawQR(screen, word)
	}
	if o.Copy && first {
		fmt.Fprint(screen, term.CopySequence("c", command, os.Getenv))
		n.note("the command is in the clipboard, if this terminal lets programs set it")
	}
}

// handOverTokens hands over the tokens of an offer.
func (n *Node) handOverTokens(o Offer, tokens []token.Token) {
	for i, t := range tokens {
		if text, err := t.Encode(); err == nil {
			n.handOver(o, text, dialCommand(o, t, text), i == 0)
		}
	}
}

// drawQR draws a QR code of word, a token or a code, in upper case: a word of letters and
// digits then needs a smaller code. One with an @ and a hub does not get smaller: the small
// alphabet of QR codes has no @.
func (n *Node) drawQR(screen *os.File, word string) {
	code, err := qr.New(strings.ToUpper(word))
	if err != nil { // more than 4 KiB
		n.Warn(fmt.Errorf("no QR code: %w", err))
		return
	}
	needCols, needRows := code.Size()
	if cols, rows := term.Size(screen); cols < needCols || rows < needRows {
		n.note(fmt.Sprintf("no QR code: it needs %d columns and %d rows, and this terminal has %d and %d", needCols, needRows, cols, rows))
		return
	}
	fmt.Fprint(screen, code.Text(n.options.ANSI))
}
