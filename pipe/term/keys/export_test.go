package keys

// MaxHeld is maxHeld.
const MaxHeld = maxHeld
