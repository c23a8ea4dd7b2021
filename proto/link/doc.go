// Package link makes links: connections between two node keys over which both ends
// have proven what they may do, each with one stream of bytes in each direction.
//
// A link begins with P2P_HELLO over a connection of package transport. It belongs to
// a session: one transfer between two nodes, which goes on over another link when
// one breaks ([Link.Resume]) and may have further links beside the first
// ([Link.AddFlow]).
//
// A link may go through a relay. Nothing that the relay does is the peer's word: its
// connection ends, is reset or is altered, and the link has broken, to be resumed over the
// relay again or over any other path. [Target.Meeting] finds the routes for that.
//
//	dialer    Dial > dialOnce > path.Dial > openLink > sayHello
//	listener  Listen > transport.Serve > serve > answerHello > Accept
package link
