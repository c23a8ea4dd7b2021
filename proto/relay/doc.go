// Package relay joins two nodes that can't reach each other: both connect to the relay,
// and it copies the bytes of each to the other. The bytes are those of a link, encrypted
// between the two nodes; a relay that reads, alters, cuts or repeats them breaks the
// link and learns nothing.
//
// # Terms, beside those of packages proto and hub
//
//	relay    the server that joins two connections
//	permit   a text with which one node may join a relay for one session, signed by the hub
//	door     a way to connect to a relay: plain TCP, or a WebSocket over TLS
//	place    a connection that waits at the relay for the other end
//	pair     two places that the relay has joined
//
// # A permit
//
// A hub gives each end of a session a permit of its own ([Permit]). Its text is
//
//	base64url(payload) "." base64url(proof)        RFC 4648, section 5, no padding
//
// The proof covers [LabelPermit], a zero byte, and the payload. It is an Ed25519 signature
// by the hub's key, of 64 bytes; or, for a relay in the hub's own process, HMAC-SHA-256 of
// 32 bytes under the key of [OwnKeyLabel], since a hub makes two permits for each session.
// The payload is JSON in one form only, the fields in this order, without white
// space:
//
//	{"v":1,"kind":"link","session":"…","node":"mk1…","peer":"mk1…","role":"dialer",
//	 "relay":"hub.example:443","rate":0,"bytes":0,"expires":1764423600}
//
// So a relay on another machine needs the hub's public key alone, and takes no MAC. To a node
// the proof is opaque. Only the node that a permit names may use
// it, and must prove its key at the door: whoever reads a permit on the wire can do
// nothing with it. A relay joins two places whose session, dialer and listener are the
// same and whose roles differ.
//
// # At the doors
//
// The plain door is a TCP connection ([AppendGreeting], [ReadGreeting]):
//
//	node:   "MESHRLY1" | u16 length of the permit, 1 to 1024 | permit
//	relay:  challenge, 16 random bytes
//	node:   signature, 64 bytes
//	relay:  status bytes, and after Joined the stream of the other end
//
// The signature is that of the permit's node over "mesh-hub/1 relay", a zero byte, the name
// of the relay, the SHA-256 of the permit's text and the challenge, each after its length
// as a u16; all numbers are big endian. A node sends nothing more until it is joined.
//
// The other door is a WebSocket (RFC 6455): GET [PathWebSocket] with the subprotocol
// [Subprotocol] and the header "Authorization: Mesh-Permit PERMIT". The same bytes follow
// from the challenge on, in binary messages of up to 256 KiB whose borders mean nothing.
// The doors mix.
//
// A place is told its status at once, when it changes, and each 15 seconds:
//
//	0  waiting    the other end is not there
//	1  joined     the stream begins
//	2  left       as 0, and the process at the other end has ended its last connection
//	3  draining   the relay ends; it closes the connection
//	16 + code     refused and closed: 11 permit expired, 13 busy or bytes used up,
//	              20 denied, 31 protocol
//
// A refusal may come in place of the challenge.
//
// # The end of a pair
//
// A FIN, or the Close frame of a WebSocket, says that the process at that end has ended
// the connection. The relay passes it on, and the other direction goes on until it ends
// too; a WebSocket that is closed takes no more bytes. Any other end (a reset, a
// WebSocket without a Close frame, a pair in which nothing moves for 60 seconds, the end of
// the relay) resets the other connection. So does a session that has used up its bytes.
package relay
