// Package path finds the connection to a peer among many: it looks host names up,
// dials all addresses over both transports at once, and returns the connection to
// prefer. A [Path] says which way a connection goes.
//
// A peer may be reached through a relay too. That is the last resort: a [Route] through
// one is dialled at once, and its connection used if nothing direct comes soon.
//
// This is Happy Eyeballs (RFC 8305) with two transports in place of two IP
// versions. It differs in one point: the addresses of one transport are dialled
// together and not one after the other, because they are few and because the pin
// decides, not the order, which of the hosts behind them is the peer.
package path
