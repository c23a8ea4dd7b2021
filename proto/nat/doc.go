// Package nat finds out how this machine is reached through routers that translate
// addresses, and opens ways through them.
//
// It speaks STUN (RFC 8489): to a server, to learn the address that the server sees,
// and as the server of a hub. STUN over UDP shares the socket of QUIC: the first two
// bits of a STUN message are 0, those of a QUIC packet never.
//
// A [Mux] reads the STUN messages at the socket of QUIC. By it [Mux.Map] asks servers, and
// a [Checker] finds out which candidates of a session's other end lead there: both ends send
// checks, which also open the routers and firewalls on the way.
//
// [AskLAN] finds a node in the networks of this machine, where [Mux.AnswerLAN] answers.
//
// A [Hole] is a way for TCP, by simultaneous open. [MapPorts] asks the router to forward
// ports. [LocalHosts] has the addresses of this machine.
package nat
