package share

// Keys is keys, for tests.
type Keys struct{ keys }

// Take is keys.take.
func (k *Keys) Take(p []byte) []byte { return k.take(p) }

// Held is what waits for its end.
func (k *Keys) Held() []byte { return k.held }

// Paste reports whether a paste goes on.
func (k *Keys) Paste() bool { return k.paste }

// MaxSequence is maxSequence.
const MaxSequence = maxSequence
