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
//	base64url(payload) "." base64url(signature)        RFC 4648, section 5, no padding
//
// The signature is Ed25519 by the hub's key over [LabelPermit], a zero byte, and the
// payload. The payload is JSON in one form only, the fields in this order, without white
// space:
//
//	{"v":1,"kind":"link","session":"…","node":"mk1…","peer":"mk1…","role":"dialer",
//	 "relay":"hub.example:443","rate":0,"bytes":0,"expires":1764423600}
//
// So a relay needs the hub's public key alone. Only the node that a permit names may use
// it, and must prove its key at the door: whoever reads a permit on the wire can do
// nothing with it. A relay joins two places whose session, dialer and listener are the
// same and whose roles differ.
package relay
