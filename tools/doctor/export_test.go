package doctor

// Dialable is dialable.
var Dialable = dialable

// TCPHint returns the hint for the error of a connection to a hub without a proxy.
func TCPHint(err error) string { return new(hubCheck).tcpHint(err) }

// TimedOut is timedOut.
var TimedOut = timedOut
