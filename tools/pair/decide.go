package pair

import (
	"context"
	"fmt"
	"strings"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/tools/node"
)

// decision is what the user says about the other node: by flags, or at the terminal.
type decision struct {
	options
	book identity.Book
	ask  func(ctx context.Context, question string) (string, error) // nil if nobody can be asked
	tell func(err error)                                            // about an answer that will not do
}

// maxAnswers bounds the answers to one question.
const maxAnswers = 3

// decide implements the Decide of [node.Pairing].
func (d decision) decide(ctx context.Context, s node.Stranger) (t node.Terms, err error) {
	if t.Name, err = d.nameFor(ctx, s); err != nil {
		return t, err
	}
	if d.caps != nil {
		t.Caps = *d.caps
		return t, nil
	}
	t.Caps, err = d.capsFor(ctx, s, t.Name)
	return t, err
}

// nameFor returns the name for a node: that of the flag, of the answer, or the one that it
// has already here or at the hub.
func (d decision) nameFor(ctx context.Context, s node.Stranger) (name string, err error) {
	if d.name != "" {
		return d.name, d.free(d.name, s.ID)
	}
	offered := d.book.NameOf(s.ID)
	if offered == "" && node.CheckPairName(s.Name) == nil {
		offered = s.Name
	}
	if d.ask == nil {
		if offered == "" {
			return "", proto.Hint(proto.Errorf(proto.Usage, "the other side has %s", nameless(s)), "--name NAME gives it one here")
		}
		return offered, d.free(offered, s.ID)
	}
	question := fmt.Sprintf("%s has proven the %s. Name for it here", describe(s), secret(s))
	if offered != "" {
		question += " [" + offered + "]"
	}
	err = d.answer(ctx, question+": ", func(line string) (err error) {
		if name = line; line == "" {
			name = offered
		}
		if err := node.CheckPairName(name); err != nil {
			return err
		}
		return d.free(name, s.ID)
	})
	return name, err
}

// describe names a node to the user: by the word of the hub, by its own, or by the words of
// its key.
func describe(s node.Stranger) string {
	switch {
	case s.Name == "":
		return "the node with the key " + strings.Join(hub.KeyWords(s.ID), "-")
	case s.AtHub == "":
		return proto.QuoteText(s.Name) + " (its own word)"
	}
	return proto.QuoteText(s.Name) + " (says " + s.AtHub + ")"
}

// secret is what a node has proven.
func secret(s node.Stranger) string {
	if s.AtHub == "" {
		return "token"
	}
	return "code"
}

// nameless says that a node has no name that it could have here.
func nameless(s node.Stranger) string {
	if s.AtHub == "" {
		return "told no name that it could have here"
	}
	return "no name at the hub"
}

// free returns an error unless a name is free, or that of the node.
func (d decision) free(name string, id identity.ID) error {
	p, found, err := d.book.Lookup(name)
	if err == nil && found && p.ID != id {
		err = proto.Errorf(proto.Identity, "peer %s is known with another key", name)
		err = proto.Hint(err, "--name gives another name; if the key was changed on purpose: mesh-token peer forget "+name)
	}
	return err
}

// capsFor returns what a node may do here: by default what it may do already, else send.
func (d decision) capsFor(ctx context.Context, s node.Stranger, name string) (proto.Caps, error) {
	caps, err := d.book.Authorized(s.ID)
	if caps == 0 {
		caps = proto.CapSend
	}
	if err != nil || d.ask == nil {
		return caps, err
	}
	question := fmt.Sprintf("what may %s do here: send (to this machine), recv (from it), tty:view, tty:control, none? [%s] ", name, caps)
	err = d.answer(ctx, question, func(line string) (err error) {
		if line != "" {
			caps, err = parseCaps(strings.ReplaceAll(line, " ", ""))
		}
		return err
	})
	return caps, err
}

// answer asks until the answer will do. No, in place of an answer, is an error with code
// [proto.Declined].
func (d decision) answer(ctx context.Context, question string, take func(line string) error) error {
	for try := 1; ; try++ {
		line, err := d.ask(ctx, question)
		if err != nil {
			return err
		}
		if lower := strings.ToLower(line); lower == "n" || lower == "no" {
			return proto.Errorf(proto.Declined, "the other side is not wanted; nothing is changed")
		}
		if err = take(line); err == nil || try == maxAnswers {
			return err
		}
		d.tell(err)
	}
}
