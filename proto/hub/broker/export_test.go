package broker

// Involved returns how many parties the broker holds for those of a session.
func (b *Broker) Involved() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessionsOf)
}

// Resting returns how many plates are avoided.
func (b *Broker) Resting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.codes.had) + len(b.codes.resting)
}
