package token

// Issued returns how many session tokens r holds in memory.
func (r *Registry) Issued() int {
	r.issued.mu.Lock()
	defer r.issued.mu.Unlock()
	return len(r.issued.byID)
}

// MaxReasons is how many reasons a registry keeps.
const MaxReasons = maxReasons
