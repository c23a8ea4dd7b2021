package cat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
	"mesh/tools/outgoing"
	"mesh/tools/runs"
)

// startGrace is how long a source waits for the links to the other peers once enough are
// there.
const startGrace = 2 * time.Second

// fanout is one transfer to several peers.
type fanout struct {
	options
	node    *node.Node
	streams cmdline.Streams
	try     runs.Try
	called  string // the name of a pipe; "" for none

	branches []*node.Branch
	lost     []error // of the peers that cannot be called
	set      *pipe.Set
	pipe     *pipe.Fanout // nil for files
	stdin    *pipe.Source // nil unless it is what is sent
	ends     []error      // of the branches, once the transfer as a whole has succeeded
	met      *outgoing.Met
	report   func(path string, err error)

	mu    sync.Mutex
	nodes map[identity.ID]int // the branch to each node
}

// sendToAll sends to several peers at once.
func sendToAll(ctx context.Context, n *node.Node, o options, s cmdline.Streams, name string, try runs.Try) (runs.Facts, error) {
	f := &fanout{options: o, called: name, node: n, streams: s, try: try, nodes: make(map[identity.ID]int), met: outgoing.NewMet(pipeCommand), report: s.Complaints()}
	if o.command != nil {
		if err := command.Check(o.command); err != nil {
			return runs.Facts{}, err
		}
	}
	if err := f.resolve(ctx); err != nil {
		return runs.Facts{}, err
	}
	var holders func() []int
	if o.files.Names == nil {
		if o.command == nil {
			f.stdin = s.Source()
		}
		var err error
		if f.pipe, err = pipe.NewFanout(f.pipeOptions()); err != nil {
			return f.facts(), err
		}
		defer f.pipe.Close()
		holders = f.pipe.Holders
	}
	f.set = pipe.NewSet(ctx, len(f.branches), o.need, o.lag, holders, f.label)
	defer f.set.Close()
	err := f.run()
	return f.facts(), err
}

func (f *fanout) pipeOptions() pipe.FanoutOptions {
	typed := f.stdin != nil && f.stdin.Typed
	return pipe.FanoutOptions{
		Branches: len(f.branches), Need: f.need, Window: cmp.Or(f.options.node.Window, proto.WindowBytes), Spool: f.options.node.Spool,
		Typed: typed, Commit: func() error { return f.set.Commit() },
	}
}

// resolve finds out which listeners the PEERs mean. A PEER that means none is a mistake; one
// that has no address now is a branch that fails.
func (f *fanout) resolve(ctx context.Context) error {
	for i, b := range f.options.branches {
		p, err := f.node.Peer(ctx, b.peer)
		switch code := proto.CodeOf(err); {
		case code == proto.Unreachable:
			p.Name = b.peer.Text
		case err != nil:
			return mistakenList(f.options.branches, err)
		}
		if err == nil {
			err := f.claim(p.ID, i)
			if err != nil {
				return err
			}
		}
		p.Terms = &b.terms
		branch := f.node.Branch(p)
		if p.Name == "" && !b.peer.IsToken() && strings.HasPrefix(b.peer.Text, "@") {
			branch.Label = proto.EscapeText(b.peer.Text) // says more than a key
		}
		branch.Transfers.ResumeFor, branch.Transfers.Flows = b.resumeFor, b.flows
		f.branches, f.lost = append(f.branches, branch), append(f.lost, err)
	}
	return nil
}

// claim notes the node that branch i goes to, if that is known, and refuses one that another
// branch goes to: copies at one node are one copy.
func (f *fanout) claim(id identity.ID, i int) error {
	if id == (identity.ID{}) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if other, taken := f.nodes[id]; taken && other != i {
		err := proto.Errorf(proto.Usage, "PEER %d and PEER %d are the same node %s", other+1, i+1, id.Short())
		return proto.Hint(err, "each PEER must be another node, with a key of its own")
	}
	f.nodes[id] = i
	return nil
}

// run makes the transfer, and returns how it has ended as a whole.
func (f *fanout) run() error {
	var wg sync.WaitGroup
	for i, b := range f.branches {
		wg.Go(func() { b.Report(f.set.End(i, f.send(i))) })
	}
	go f.set.Watch(f.set.Whole())
	stop := func() {}
	if f.pipe != nil {
		stop = f.feed()
	}
	wg.Wait()
	stop()
	ends, err := f.set.Outcome()
	if err != nil {
		return f.met.Hint(err)
	}
	f.ends = ends
	f.tellFailed()
	return nil
}

// send makes the transfer to one peer.
func (f *fanout) send(i int) (err error) {
	if f.pipe != nil {
		defer func() { f.pipe.Leave(i, err) }()
	}
	if f.lost[i] != nil {
		return f.lost[i]
	}
	ctx, b := f.set.Context(i), f.branches[i]
	r := node.Request{Name: f.called, Want: proto.CapSend, Need: proto.CapSend, Wait: f.options.branches[i].wait}
	if f.pipe == nil {
		r.Kind = wire.KindFiles
	}
	l, err := b.Dial(ctx, r)
	if err != nil {
		return f.wrongKind(err)
	}
	if err := f.claim(l.Peer, i); err != nil {
		l.Close(err)
		return err
	}
	f.set.Linked(i)
	if f.pipe != nil {
		return b.Exchange(ctx, f.pipe.Branch(i))
	}
	report := func(path string, err error) { f.report(b.Label+": "+path, err) }
	return b.Files(ctx, f.files.Side(l, nil, f.met, nil, report))
}

// wrongKind adds to the error of a dial what the peer takes.
func (f *fanout) wrongKind(err error) error {
	switch {
	case !errors.Is(err, node.ErrKind):
		return err
	case f.pipe != nil:
		return proto.Hint(err, "the peer takes files: mesh-cat PEER,PEER FILE…")
	}
	return proto.Hint(err, "files go to mesh-recv -C DIR; this peer takes the content of a file: mesh-cat PEER,PEER <FILE")
}

// feed starts the source once enough peers have a link, and reads it in a goroutine that may
// outlive the transfer in a read. Call stop when all branches have ended.
func (f *fanout) feed() (stop func()) {
	if err := f.set.AwaitLinks(startGrace); err != nil {
		f.set.Fail(err)
		return func() {}
	}
	source, stopCommand, err := f.source()
	if err != nil {
		f.set.Fail(err)
		return func() {}
	}
	stopWatch := f.node.WatchBranches(&f.pipe.Counters, source.Typed, source.Size)
	go func() {
		if _, err := f.pipe.Run(f.set.Whole(), source); err != nil {
			f.set.Fail(err)
		}
	}()
	return func() {
		stopWatch()
		stopCommand()
	}
}

// source returns standard input, or starts the command.
func (f *fanout) source() (source *pipe.Source, stop func(), err error) {
	if f.stdin != nil {
		return f.stdin, func() {}, nil
	}
	p, err := command.Start(f.set.Whole(), f.command, command.Options{Stdin: f.streams.In, Stderr: f.streams.Err, Env: append(f.env(), f.try.Env()...)})
	if err != nil {
		return nil, nil, err
	}
	source = p.Source()
	source.Status = func() int {
		status := p.Status()
		if status != 0 { // before the peers are told, whose answer is a failure too
			f.set.Blame(proto.Errorf(proto.Producer, "the command ended with status %d", status))
		}
		return status
	}
	return source, p.Stop, nil
}

// env returns the variables of the peers with a link, each with the values of all.
func (f *fanout) env() (env []string) {
	for _, i := range f.set.WithLink() {
		for k, variable := range f.branches[i].Env() {
			name, value, _ := strings.Cut(variable, "=")
			if k == len(env) {
				env = append(env, name+"="+value)
				continue
			}
			env[k] += "," + value
		}
	}
	return env
}

// label adds to the error that made the transfer fail whose it is.
func (f *fanout) label(i int, err error) error {
	return fmt.Errorf("%s, one of %d peers of which %d are needed: %w", f.branches[i].Label, len(f.branches), f.need, err)
}

// tellFailed prints which peers do not have all, where enough have.
func (f *fanout) tellFailed() {
	facts := f.facts()
	for _, b := range facts.Branches {
		if b.Err != nil {
			f.node.Log.Info("branch failed", "peer", b.Peer, "err", b.Err)
		}
	}
	if missed := facts.Missed(); missed != "" {
		fmt.Fprintf(f.streams.Err, "%s: %s\n", f.streams.Name, missed)
	}
}

// facts returns what is known of the transfer.
func (f *fanout) facts() runs.Facts {
	var labels []string
	for _, b := range f.branches {
		labels = append(labels, b.Label)
	}
	facts := runs.Facts{Peer: strings.Join(labels, ","), Name: f.called}
	for i, err := range f.ends {
		facts.Branches = append(facts.Branches, runs.Branch{Peer: labels[i], Err: err})
	}
	if f.pipe != nil {
		facts.Bytes = f.pipe.Counters.Sent.Load()
		return facts
	}
	for _, b := range f.branches {
		facts.Bytes = max(facts.Bytes, b.Counters.Sent.Load())
	}
	return facts
}
