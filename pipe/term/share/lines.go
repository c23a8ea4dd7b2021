package share

// lines begins a new line at each line feed, as a terminal's driver does (ONLCR), for
// recordings of what has seen none: players know of no such mode. The zero value is
// ready to use.
type lines struct {
	cr bool // the last byte was a carriage return
}

// take returns p with a carriage return before each line feed that has none.
func (l *lines) take(p []byte) []byte {
	out := make([]byte, 0, len(p)+len(p)/16)
	for _, b := range p {
		if b == '\n' && !l.cr {
			out = append(out, '\r')
		}
		out = append(out, b)
		l.cr = b == '\r'
	}
	return out
}
