package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

// mayAsk reports whether the user can be asked about a node without rights.
func (p *presence) mayAsk() bool {
	return p.offer.Asks && !p.offer.TokenOnly && p.node.options.Ask != nil
}

// ask asks the user whether a node without rights may do what it asks for: this time, or
// always, which authorized_peers then says. It asks one question at a time, at most
// maxQuestions in questionsIn, and no second one about a node that was refused.
func (p *presence) ask(ctx context.Context, at hub.URL, of agent.Offer) (caps proto.Caps, always bool, code string) {
	want, err := proto.ParseCaps(of.Request.Want)
	if err != nil || want&p.offer.Caps == 0 {
		return 0, false, hub.CodeCapability
	}
	want &= p.offer.Caps
	if !p.asking.TryLock() {
		return 0, false, hub.CodeBusy
	}
	defer p.asking.Unlock()
	if p.wasRefused(of.From, false) {
		return 0, false, hub.CodeDeclined
	}
	if !p.mayQuestion(time.Now()) {
		return 0, false, hub.CodeBusy
	}
	of.Pending()
	answer, err := p.node.options.Ask(ctx, fmt.Sprintf("%s wants to %s: allow? [y/N/always] ", p.node.describe(at, of), wish(want)))
	always = answer == "always"
	if err != nil || !always && !isYes(answer) {
		p.wasRefused(of.From, ctx.Err() == nil)
		return 0, false, hub.CodeDeclined
	}
	if always {
		if err := p.node.Book.Allow(of.From, want); err != nil {
			p.node.Warn(fmt.Errorf("allowed this time only: %w", err))
			always = false
		}
	}
	return want, always, ""
}

// describe names a node that asks for something: by the name that this user has given to
// its key, by that in its voucher, or by the hub's word and the key, of which a few letters
// could be imitated.
func (n *Node) describe(at hub.URL, of agent.Offer) string {
	if name := n.Book.NameOf(of.From); name != "" {
		return fmt.Sprintf("%s (%s)", name, GradePinned)
	}
	if name := n.issuedDialer(of); name != "" {
		return fmt.Sprintf("%s (%s)", name, GradeIssued)
	}
	who := "a node without a name"
	if of.Name != "" {
		who = proto.QuoteText(of.Name)
	}
	return fmt.Sprintf("%s (says %s), key %s (%d words),", who, at.Name(), keyWords(of.From), hub.KeyWordCount)
}

// keyWords returns the words of a key as people compare them.
func keyWords(id identity.ID) string { return strings.Join(hub.KeyWords(id), "-") }

// wish says in words what a node wants to do.
func wish(caps proto.Caps) string {
	var words []string
	for _, c := range []struct {
		cap  proto.Caps
		word string
	}{{proto.CapSend, "send"}, {proto.CapRecv, "receive"}, {proto.CapTTYView, "view the terminal"}, {proto.CapTTYControl, "type into the terminal"}} {
		if caps.Has(c.cap) {
			words = append(words, c.word)
		}
	}
	return strings.Join(words, " and ")
}

func isYes(answer string) bool { return answer == "y" || answer == "yes" }

// wasRefused reports whether the user has refused a node, and notes that if now is set.
func (p *presence) wasRefused(id identity.ID, now bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.refused[id]
	if now && len(p.refused) < maxRefused {
		p.refused[id] = true
	}
	return was
}

// maxQuestions bounds the questions in questionsIn, whoever they are about: a hub makes as many
// nodes as it likes, and a node may cancel its request and ask again.
const (
	maxQuestions = 5
	questionsIn  = time.Minute
)

// mayQuestion reports whether one more question may be asked, and counts it if so. The caller
// holds asking.
func (p *presence) mayQuestion(now time.Time) bool {
	p.questions = slices.DeleteFunc(p.questions, func(t time.Time) bool { return now.Sub(t) >= questionsIn })
	if len(p.questions) >= maxQuestions {
		return false
	}
	p.questions = append(p.questions, now)
	return true
}

// maxRefused bounds the nodes that are remembered.
const maxRefused = 1000
