package runs

import (
	"context"
	"fmt"
	"time"

	"mesh/pipe/progress"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/notify"
)

// openNotifier reads whom to tell of the end of the run. On a terminal somebody sees it.
func (r *run) openNotifier() error {
	if r.Notify == nil {
		return nil
	}
	settings, err := r.Notify()
	if err != nil {
		return err
	}
	switch {
	case r.NotifyOn != "":
		settings.On = r.NotifyOn
	case term.IsTerminal(r.streams.Err):
		settings.On = notify.OnNever
	}
	if len(settings.Channels) == 0 && r.NotifyOn != "" && r.NotifyOn != notify.OnNever {
		err := proto.Errorf(proto.Config, "--%s %s: [notify] in config.toml has no channel", notifyOnName, r.NotifyOn)
		return proto.Hint(err, "mesh-config(5) has examples, and mesh notify tests them")
	}
	if !settings.Tells() {
		return nil
	}
	if r.State == "" {
		if r.State, err = cmdline.Home(); err != nil {
			return err
		}
	}
	r.notifier = notify.New(settings, r.State, r.log)
	return nil
}

// tell tells how the run has ended, and how each branch of one that has succeeded.
func (r *run) tell(ctx context.Context, err error) {
	if r.notifier == nil {
		return
	}
	took := time.Since(r.begun)
	m := notify.Message{
		Event: notify.EventEnd, Tool: r.streams.Name, Job: r.Job, Tries: r.tries, Err: err, Subject: r.subject(),
		Peer: r.facts.Peer, PeerName: r.facts.Peer, Transfer: r.facts.Transfer, Bytes: &r.facts.Bytes, Seconds: took.Seconds(),
	}
	if err == nil {
		m.Receipt = fmt.Sprintf("%s with %s in %s", progress.Bytes(r.facts.Bytes), r.facts.Peer, cmdline.ShortDuration(took))
		if missed := r.facts.Missed(); missed != "" {
			m.Receipt += "\n" + missed
		}
	}
	r.notifier.Ended(ctx, append([]notify.Message{m}, r.branches()...)...)
}

// branches returns the ends of the branches as messages.
func (r *run) branches() (list []notify.Message) {
	for _, b := range r.facts.Branches {
		list = append(list, notify.Message{
			Event: notify.EventBranch, Tool: r.streams.Name, Job: r.Job, Err: b.Err, Subject: r.branchSubject(b.Peer),
			Peer: b.Peer, PeerName: b.Peer,
		})
	}
	return list
}

// subject is what fails and works again: the job, or else what is done with a peer.
func (r *run) subject() string {
	switch {
	case r.Job != "":
		return "job/" + r.Job
	case r.facts.Peer != "":
		return r.streams.Name + "/" + r.facts.Peer
	}
	return ""
}

// branchSubject is what fails and works again where the run goes well: one peer of the job,
// or else of the tool, whoever the others are.
func (r *run) branchSubject(peer string) string {
	of := r.streams.Name
	if r.Job != "" {
		of = "job/" + r.Job
	}
	return "branch/" + of + "/" + peer
}
