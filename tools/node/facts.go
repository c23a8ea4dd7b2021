package node

// Facts are what is known of the last transfer of a node, also of one that has failed.
type Facts struct {
	Peer     string // its label in messages; "" if none was called
	Transfer string // "" if there was no link
	Bytes    int64  // that have arrived at the other end
}

// Facts returns the facts of the last transfer.
func (n *Node) Facts() Facts {
	n.reporter.mu.Lock()
	defer n.reporter.mu.Unlock()
	return n.reporter.facts
}

// note changes the facts.
func (r *reporter) note(f Facts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts = f
}

// noteBytes changes the number of bytes in the facts.
func (r *reporter) noteBytes(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts.Bytes = n
}
