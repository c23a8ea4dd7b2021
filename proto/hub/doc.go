// Package hub has the protocol between a node and a hub: its events, their strict
// codec, what is signed, and the texts that people pass on (URLs, names, invites). It is
// pure: it opens no connection and reads no clock.
//
// A hub lets two nodes find each other by name and passes sealed messages between them.
// It introduces and never authorises: the listener makes the token, both ends check
// signatures, and the hub reads neither.
//
// # Terms, beside those of package proto
//
//	member      a node key that may log in to a hub
//	invite      a text "mi1…" that makes its bearer a member
//	issuer      a key whose word about other nodes some nodes and hubs trust
//	voucher     the signed word of an issuer about a node, as a text "mv1…"
//	session     one request, its answer, and the link that follows
//	dialer      the node that sends the request; it dials later
//	listener    the node that the request names; it accepts or declines
//	instance    one process of a node; 16 random bytes name it
//	origin      scheme, host and port of the hub's URL, as the client was configured
//	binding     32 bytes that name the TLS connection; zeros where TLS ends elsewhere
//	lasting     a name that its owner keeps for months after it was last online
//	passing     a name that is free again a minute after its connection
//	code        a plate and three words, with which two nodes meet ([Code])
//	room        a word that members join, to find each other; it gives no right
//
// # Connection
//
// The client opens a WebSocket at PATH/ws?n=N with the subprotocol [Subprotocol]; N is
// its nonce of 16 bytes in hexadecimal. Each message is one text message with one JSON
// object, the envelope ([Event]):
//
//	{"type":"p2p.session.request","id":"7","data":{…}}                client to hub
//	{"type":"p2p.session.offer","from":"mk1…","name":"alice","data":{…}}  hub to client
//	{"type":"system.error","ref":"7","data":{"code":"offline"}}       the answer to "7"
//
// Every event of a client that has an id gets exactly one answer with that ref: the one
// named below, system.ok, or system.error. What another node has to decide is answered
// with system.ok at once; the outcome follows as an event of its own. From and name are
// the hub's word about the sender.
//
// Field names are case-sensitive, no name occurs twice, and unknown fields are ignored.
// Node ids are written as "mk1…", ids in lower-case hexadecimal, keys, signatures and
// sealed messages in base64 (RFC 4648, padded). Times are in seconds from now (…_s).
//
// # Login
//
//	client                                        hub
//	  |  GET /ws?n=N                                |
//	  |-------------------------------------------->|
//	  |    system.challenge {hub, nonce, proof}     |  proof: S(hub, "hub"; origin, N, nonce, binding)
//	  |<--------------------------------------------|
//	  |    system.hello {node, binding, sig, …}     |  sig: S(node, "login"; origin, hub, nonce, binding, instance)
//	  |-------------------------------------------->|
//	  |                   system.welcome {…}        |  or close 4001, 4003
//	  |<--------------------------------------------|
//
// The binding is the TLS exporter value with the label [ExporterLabel], no context, 32
// bytes. Each end compares it with its own, so a login is worth nothing on another
// connection. The proof and the login also name the origin, the hub's key and both
// nonces, so they are worth nothing at another hub or later.
//
// A node without membership joins with an invite: hello.invite has the public key of the
// invite's seed and sig = S(seed, "join"; origin, hub, nonce, node). If the invite carries a
// voucher, welcome.joined {until, sig} is the hub's word for its second link.
//
// # Names
//
// system.register {name, kinds, lasting} is answered with system.registered {name}, or
// with the error taken {since_s, owner}. A name belongs to the key that registered it
// first. Several connections of that key may register it; the newest one with the wanted
// kind is asked. system.lookup {peer} is answered with system.peer. system.watch {peer,
// kind} is answered with system.ok, and system.online follows at each login and register
// of that node.
//
// # Rooms
//
// room.join {room, watch} is answered with room.peers {rev, peers, next}, room.leave with
// system.ok. room.peers {room, after} asks for the nodes behind one, at most
// [MaxRoomPage] in an answer. A watcher is told room.joined and room.left, each with a rev
// that is 1 above the one before; where one is missing, the watcher asks for the list
// again. Changes are gathered for a moment, and a watcher that would get too many of them
// at once is told the last one alone. A room begins with the first node in it and ends
// with the last one; a hub that is restarted knows none. So a client joins its rooms again
// after each login.
//
// # API tokens
//
// system.token {scopes, ttl_s} is answered with system.token {token, scopes, expires_s}:
// an [APIToken] for the hub's REST API, with which the node is known there. It has no
// right that the node has not at the time of the request. The page of the API is
// /openapi.json of the hub.
//
// # A session
//
//	dialer                          hub                          listener
//	  | p2p.session.request           |                              |
//	  |------------------------------>| p2p.session.offer            |
//	  |                     system.ok |----------------------------->|
//	  |<------------------------------|                              |
//	  |                               | p2p.session.pending          |  if a person is asked
//	  |          p2p.session.pending  |<-----------------------------|
//	  |<------------------------------|                              |
//	  |                               | p2p.session.accept {sealed}  |  or p2p.session.decline
//	  | p2p.session.created           |<-----------------------------|
//	  |<------------------------------| p2p.session.created          |
//	  |                               |----------------------------->|
//	  | p2p.session.candidates {sealed}, both ways                   |
//	  |<------------------------------------------------------------>|
//	  | p2p.session.closed, from either end                          |
//
// The request has a fresh HPKE key (RFC 9180, MLKEM768-X25519 with HKDF-SHA256 and
// AES-256-GCM) and sig = S(dialer, "request"; hub, session, to, kind, want, seal,
// answer_s). The listener seals a [Grant], with the token, for that key; info is
// "mesh-hub/1 session" and then session, dialer and listener; its sig = S(listener,
// "accept"; hub, session, dialer, sig of the request, sealed). Later candidates are
// sealed with AES-256-GCM under the keys that the HPKE context exports for "dialer" and
// "listener"; the nonce is u32 0 and then u64 gen, the associated data is the session.
//
// A request that is sent again, byte for byte, is the same request: the hub offers it
// again, and the listener repeats its accept. So a restarted hub loses nothing.
//
// # Vouchers
//
// A voucher ([Voucher]) says of a node that it has a name, belongs to a room, or may log
// in to a hub; sig = S(issuer, "voucher"; all bytes before it). A node shows its vouchers
// in its hello and in its requests, and the hub shows those of the hello to who asks for
// the node. Nobody has to believe the hub for that.
//
// A voucher in an invite is about the invite's seed. The node that uses the invite makes
// itself the holder by a second link: S(seed, "link"; hub, voucher id, node). The seed
// could sign such a link at any time, so it holds only with S(hub, "joined"; seed, node,
// until), which the hub gives once for each use.
//
// # Codes
//
//	dialer                          hub                          listener
//	  |                               |         p2p.code.open {share} |
//	  |                               |<------------------------------|
//	  |                               | p2p.code.opened {plate}       |
//	  | p2p.code.claim {plate}        |------------------------------>|
//	  |------------------------------>|                               |
//	  | p2p.code.claimed {box, share} | p2p.code.claimed {box}        |
//	  |<------------------------------|------------------------------>|
//	  | p2p.code.confirm {share, tag} |                               |
//	  |-------------------------------------------------------------->|
//	  |           p2p.code.done {tag, sealed}  or p2p.code.burn       |
//	  |<--------------------------------------------------------------|
//	  | p2p.session.created           | p2p.session.created           |
//	  |<------------------------------|------------------------------>|
//
// The ends run CPace (package cpace), the listener as initiator: the password is the
// words of the code, the channel identifier lv("mesh-hub/1 code") lv(hub), the session id
// the box. AD is lv(role) lv(node) lv(16 random bytes). With CPace's key as input and the
// salt "mesh-hub/1 code", HKDF with SHA-512 makes keys of 32 bytes by label. The tags are
// HMAC-SHA-256 over lv(share) lv(AD) of the listener and then of the dialer, under the
// keys "confirm dialer" and "confirm listener". The listener seals the [Grant] with
// AES-256-GCM under the key "box", with a nonce of zeros and the box as associated data;
// its sig = S(listener, "accept"; hub, box, dialer, tag of the dialer, sealed). The keys
// of candidates are made by the labels above.
//
// The dialer proves first, and a listener takes one confirm for each share: a wrong one
// burns the code. A dialer that claims and is silent for 20 s has learnt nothing; the hub
// sends p2p.code.freed, and the listener opens the same box with another share. One node
// at a time has a claim. A plate that nobody has is answered "no_code" after 500 ms.
//
// After a restart of the hub the listener opens a box again that was claimed before, with
// the node that had claimed it; that node sends its confirm again. The session that
// begins has the id of the box.
//
// # Signatures
//
// S(key, label; a, b, …) is the Ed25519 signature of
//
//	"mesh-hub/1 " label 0x00 lv(a) lv(b) …     lv(x) = u16 length of x, x
//
// in which keys are 32 bytes, ids and nonces raw, numbers u32, dates u64 in seconds since
// 1970, texts UTF-8; all numbers are big endian. [Labels] lists the labels.
package hub
