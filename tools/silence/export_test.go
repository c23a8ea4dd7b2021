package silence

import "time"

// Look looks at a time, as Run does each minute.
func (a *Alarm) Look(now time.Time) { a.look(now) }
