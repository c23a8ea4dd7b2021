package tcp

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
)

// alteredAlerts are the TLS alerts (RFC 8446, section 6) that an end sends when a record
// is not what its peer has sent. The texts are compared because crypto/tls does not export
// the type of an alert. TestAlteredRecords in package link fails if a text changes.
var alteredAlerts = []string{
	"tls: unexpected message", "tls: bad record MAC", "tls: record overflow", "tls: error decoding message", "tls: protocol version not supported",
}

// isAltered reports whether an error of a TLS session whose handshake is complete says that
// a record was altered, at this end or at the peer's.
func isAltered(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	e, ok := errors.AsType[*net.OpError](err)
	return ok && (e.Op == "local error" || e.Op == "remote error") && slices.Contains(alteredAlerts, e.Err.Error())
}
