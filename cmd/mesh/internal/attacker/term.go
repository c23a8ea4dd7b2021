package attacker

import "encoding/binary"

// Out makes a TERM_OUT.
func Out(seq uint64, data []byte) Frame {
	return Frame{TermOut, append(binary.BigEndian.AppendUint64(nil, seq), data...)}
}

// Snapshot makes a TERM_SNAPSHOT.
func Snapshot(seq uint64, cols, rows uint16, data []byte) Frame {
	b := binary.BigEndian.AppendUint64(nil, seq)
	b = binary.BigEndian.AppendUint16(b, cols)
	b = binary.BigEndian.AppendUint16(b, rows)
	return Frame{TermSnapshot, append(b, data...)}
}
