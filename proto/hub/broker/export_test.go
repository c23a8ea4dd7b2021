package broker

// Involved returns how many parties the broker holds for those of a session.
func (b *Broker) Involved() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessionsOf)
}
