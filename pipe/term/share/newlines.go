package share

// newlines adds a carriage return before each line feed, as a terminal driver does
// (ONLCR), for recordings of output that no driver has seen: players do not know LNM.
// The zero value is ready to use.
type newlines struct {
	cr bool // the last byte was a carriage return
}

// convert returns p with a carriage return before each line feed that has none.
func (l *newlines) convert(p []byte) []byte {
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
