// Package transport makes authenticated connections between two node keys, over
// QUIC or over TLS 1.3 on TCP. An [Endpoint] has the sockets, dials and listens; a
// [Conn] is one connection with one stream of bytes in each direction.
//
// A connection may also run over a [Carrier], a stream that somebody else has made, as a
// relay does. It is TLS over TCP like any other.
//
// A connection says which keys its ends have and no more. Whether the peer may do
// anything is the business of package link above, and until that has decided, the
// connection is half-open: the endpoint bounds how many of them there are and how
// much memory each may cost.
//
// This package and those below it (tcp, udp) are the only ones that know sockets,
// crypto/tls alerts and quic-go.
package transport
