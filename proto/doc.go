// Package proto describes the mesh protocol on one page: its terms, the order of
// its messages, and every constant and limit. The packages below it implement the
// parts: wire (messages to bytes), identity (node keys), token, handshake (the
// proofs), tcp and udp (sockets), transport (connections), candidate (addresses to
// dial), nat (ways through routers that translate addresses), relay (what joins nodes
// that can't reach each other), path (which address and transport to use), link
// (authenticated links).
//
// # Terms
//
// Each term has one meaning in the code, the messages and the pages. In brackets
// stands the package that owns it.
//
//	node key        an Ed25519 key pair; every node has one [identity]
//	node id         the public half of a node key; as text "mk1…" [identity]
//	peer            the node at the other end [identity]
//	address book    known_peers: names, the node ids they stand for, addresses [identity]
//	authorised key  a node id in authorized_peers, with its capabilities [identity]
//	token           what a listener gives out so that others may dial it: node id,
//	                addresses, secret, capabilities, expiry; as text "mesh1…" [token]
//	session token   a token whose secret the issuing process keeps in memory [token]
//	signed capability  a token whose secret is a signature of its claims by the node
//	                key; every listener of the node accepts it [token]
//	claims          the parts of a token that are not secret [token]
//	holder          the only node that may use a token, if it names one [token]
//	claim           to take one of the uses of a token whose uses are counted [token]
//	capability      what a dialer may do: send, recv, tty:view, tty:control [proto]
//	credential      a token, an authorised key, or the id of a transfer [token]
//	pin             the node id that a dialer requires its peer to prove in TLS [transport]
//	proof           an HMAC that shows knowledge of a credential's secret [handshake]
//	dialer          the end that opens the connection; either end may send [link]
//	listener        the end that accepts it; it decides what the dialer may do [link]
//	transport       what carries a link: QUIC, or TLS 1.3 over TCP [transport]
//	connection      one QUIC connection, or one TLS connection over TCP [transport]
//	half-open       a connection whose dialer is not yet authenticated [transport]
//	candidate       an address at which a node may be reached [candidate]
//	path            the addresses and the transport that a link uses [path]
//	check           a STUN request to a candidate of the other end; its answer proves that
//	                packets go both ways [nat]
//	pair            a candidate whose check was answered, and the socket that sent it [nat]
//	hole            a TCP port from which both ends dial each other at one moment [nat]
//	relay           a server that copies a link's bytes between two connections, one
//	                of each end; it can't read them [relay]
//	permit          the right of one node to join a relay for one session at a hub,
//	                signed by the hub [relay]
//	stream          the one ordered, bidirectional byte stream of a connection [transport]
//	block           a length-prefixed piece of a stream over TCP [tcp]
//	frame           length, type and body of one message in a stream [wire]
//	link            a connection after the handshake: both keys known [link]
//	transfer        the data of one direction, FILE_META to the final FILE_ACK; it
//	                outlives a broken link [pipe]
//	transfer id     16 bytes that name both transfers of a link [handshake]
//	chunk           one FILE_CHUNK: an offset and up to 256 KiB of data [wire]
//	window          how much of a transfer may be sent and not acknowledged [pipe]
//	flow            a further link that carries chunks of the same transfer [link]
//	resume          to continue a transfer on a new link after its link broke [link]
//	move            to continue a transfer on a new link over a better path, while its old
//	                link works [link]
//	producer        what supplies the data of a transfer at the sender [pipe]
//	consumer        what takes the data of a transfer at the receiver [pipe]
//	receipt         what both ends report of a transfer: bytes, digest, peer, path [pipe]
//	kind            what the bytes of a transfer are: pipe, files, take, tty or pair [wire]
//	entry           a file, folder or symbolic link in a transfer of files [pipe/files]
//	inbox           a folder in which a listening daemon stores transfers [tools]
//	session         one shared terminal, from its command's start to its end [pipe/term]
//	sharer          the end that shares a terminal: the listener [pipe/term]
//	viewer          an end that views it: a dialer [pipe/term]
//	snapshot        control sequences that redraw a whole terminal [pipe/term]
//
// # A link
//
// The dialer opens a QUIC connection (RFC 9000, ALPN [ALPN], TLS 1.3 only) to the
// listener. Each end presents exactly one self-signed Ed25519 certificate; the key
// in it is its node key. The dialer knows the listener's node id and checks it
// inside the TLS handshake. Then the dialer opens the connection's only stream,
// which is bidirectional, and speaks first:
//
//	dialer                                   listener
//	  | P2P_HELLO {method, token, proof}        |
//	  |---------------------------------------->|  proof right, capabilities enough?
//	  |                 P2P_OK {granted, proof} |
//	  |<----------------------------------------|  or P2P_DENY {class}, then close
//	  |                                         |
//	  | FILE_META FILE_CHUNK … FILE_DONE        |  if "send" was granted
//	  |---------------------------------------->|
//	  |                      FILE_ACK … (final) |
//	  |<----------------------------------------|
//	  |        FILE_META FILE_CHUNK … FILE_DONE |  if "recv" was granted
//	  |<----------------------------------------|
//	  | FILE_ACK … (final)                      |
//	  |---------------------------------------->|
//	  |                                     FIN |  the listener needs nothing more
//	  |<----------------------------------------|
//	  | CONNECTION_CLOSE, code 0x4d00           |
//	  |---------------------------------------->|
//
// Each direction of the stream carries one transfer. The acknowledgements of a
// transfer travel in the other direction, between the frames of the other
// transfer.
//
// # Over TCP
//
// The listener also accepts TLS 1.3 over TCP at the same port, with the same ALPN,
// certificates, pin and proof; one connection carries one link. Blocks supply what
// QUIC has and TCP lacks. Each direction of the TLS stream is a sequence of them:
//
//	u32 n, 1 to MaxBlockBytes | n bytes of the link's stream
//	u32 0 | u32 0             the end of the stream (FIN above)
//	u32 0 | u32 1             keep-alive, when nothing else was sent for KeepAlive
//	u32 0 | u32 code          close with this code (CONNECTION_CLOSE above)
//
// A connection that ends in any other way has broken. So has one on which nothing
// came for [IdleTimeout], as with QUIC.
//
// # A frame
//
//	u32 length of body, big endian | u8 type | body
//
// Control bodies are JSON in one form only: the fields in the order of the structs
// in package wire, no white space, and no field at its zero value where the struct
// says omitempty. A decoder encodes what it has decoded and refuses a body that
// differs. FILE_CHUNK is binary: u64 offset, then data.
//
// # The proof
//
// With X the TLS exporter value (RFC 9266, label [ExporterLabel], 32 bytes) and S
// the secret of the credential (empty for an authorised key):
//
//	PRK = HKDF-Extract(SHA-256, salt X, S)
//	Kd  = HKDF-Expand(PRK, LabelDialer, 32)
//	Kl  = HKDF-Expand(PRK, LabelListener, 32)
//	P2P_HELLO.proof = HMAC-SHA-256(Kd, dialer id | listener id | HELLO')
//	P2P_OK.proof    = HMAC-SHA-256(Kl, dialer id | listener id | u32 len(HELLO) | HELLO | OK')
//
// HELLO is the whole body as it was sent; HELLO' and OK' are the bodies with 32
// zero bytes as the proof. X differs between TLS sessions, so a proof is worthless
// on another link. The labels differ between the roles, so neither proof can serve
// as the other. The id of the transfer that begins is
//
//	HKDF-Expand(PRK, LabelTransfer, 16)
//
// so the dialer knows it before P2P_OK repeats it. Since the dialer has pinned the
// listener's key, it may send its first frames with P2P_HELLO, up to what fits into
// the window before the proof (early data of the protocol, not of TLS). The
// listener reads them after it has sent P2P_OK. If it refuses, they are lost with
// the connection.
//
// # A transfer
//
// The sender never has more bytes sent and unacknowledged than the receiver's
// window (P2P_HELLO.window, P2P_OK.window). The receiver can hold that many, so
// acknowledgements never wait behind data that the consumer does not take.
// FILE_ACK.bytes counts what the consumer has taken. The receiver of a pipe sends it
// after at most [AckEveryBytes], and after [IdleAck] in which nothing was taken, so that
// the sender knows before FILE_DONE whether all was taken. A final FILE_ACK ends the
// transfer. After FILE_DONE it carries the digest of all data and means that the
// data is stored, or taken by the consumer. Before FILE_DONE it means that the
// consumer takes no more.
//
// # Files
//
// With P2P_HELLO.kind "files" there is a transfer in each direction, whatever was
// granted: one from the sender of the files, one from their receiver. The bytes of
// both are frames again (package wire has the fields, package pipe/files both
// ends):
//
//	sender                                    receiver
//	  | FILES_ENTRY FILES_ENTRY …               |  depth first, sorted; many in advance
//	  |---------------------------------------->|
//	  |                          FILES_ANSWER … |  one for each, unless "now":
//	  |<----------------------------------------|  fresh, skip, have N bytes, refused
//	  | FILES_FROM FILES_DATA … FILES_END       |  for each file that is wanted,
//	  |---------------------------------------->|  in the order of the entries
//	  |                         FILES_REFUSED … |  what is not stored after all
//	  |<----------------------------------------|
//	  | FILES_TOTAL                             |
//	  |---------------------------------------->|
//	  |                            FILES_STORED |  everything is durable
//	  |<----------------------------------------|
//
// A folder that the receiver has just created ("fresh") is empty. So its contents
// are announced with "now" and their data follows at once, without a round trip
// for each file. In other folders at most [MaxPending] entries wait. A small file
// is announced with its digest. To a peer of minor version 1 ([ALPNMinor1]) zeros in a
// larger one travel as FILES_HOLE, and in a new folder a second name of a file is a
// link to the first. For a display, the receiver can ask in its first answer how many bytes
// come in all: the sender counts beside the transfer, and tells with FILES_COUNT
// ([ALPNMinor5]). If the receiver has a larger file in whole or in
// part, it answers with the length and digest of what it has, and the sender
// continues after that if its own file begins with the same bytes.
//
// Names are sorted by their normalized and case-folded form. So two names that some
// file system takes for one follow each other, and the second one is refused.
//
// # Files to take
//
// With P2P_HELLO.kind "take" the listener sends files in the same way, and the dialer
// first says what it wants, with FILES_TAKE: the paths of some of the files and folders
// that the listener offers, or none for all of them. A first FILES_TAKE may ask for a
// list ("all": FILES_LISTED …, FILES_TOTAL) or for their sum ("sum": FILES_SUM) instead.
// The names are only compared with the paths of what is offered, so nothing else can be
// named.
//
// # Terminals
//
// With P2P_HELLO.kind "tty" the dialer views the terminal that the listener shares.
// Again there is a transfer in each direction, and their bytes are frames:
//
//	sharer                                    viewer
//	  |              TERM_OPEN {mode, size} … |
//	  |<----------------------------------------|
//	  | TERM_SESSION {name, rights, size}       |
//	  |---------------------------------------->|
//	  | TERM_SNAPSHOT TERM_OUT TERM_RESIZE …    |  in the order of the output
//	  |---------------------------------------->|
//	  |   TERM_ACK … TERM_IN … TERM_RESIZE …    |  TERM_IN, TERM_RESIZE: tty:control,
//	  |   TERM_CTL {ask} …                      |  which TERM_CTL asks for
//	  |<----------------------------------------|
//	  | TERM_CTL … TERM_IDLE …                  |  TERM_IDLE: if TERM_OPEN asks
//	  |---------------------------------------->|
//	  | TERM_EXIT {code}                        |
//	  |---------------------------------------->|
//
// A position (seq) is an offset in all output since the command began. TERM_OUT,
// TERM_SNAPSHOT, TERM_RESIZE, TERM_MARK and TERM_EXIT are in the order of their
// positions; TERM_CTL and TERM_IDLE may come between any two of them. What a viewer
// gets depends on its mode:
//
//   - "screen": a snapshot first, and again in place of output that the viewer is
//     too slow for;
//   - "raw": every byte from the moment it joins, or with "history" from the oldest
//     one that the sharer still holds; a snapshot only if the viewer falls further
//     behind than the sharer holds output;
//   - "record": a snapshot first, then the same as "raw".
//
// A snapshot sets the terminal to its own size. The TERM_ACKs tell the sharer how
// fast a viewer takes output; the sharer keeps no more on the way to it than it
// takes in a moment. A viewer may do what its link was granted, until a TERM_CTL
// says otherwise: the sharer can give tty:control to a viewer's node for the rest
// of the session, and take it away. A viewer that types and never had tty:control
// is disconnected ([Capability]). After a revocation its input is ignored instead,
// since it may not have seen the TERM_CTL yet. Either end leaves by ending its
// transfer.
//
// # Pairing
//
// With P2P_HELLO.kind "pair" two nodes agree to know each other for good. The token of the
// listener, which nobody else has, stands for the code of a hub. Again there is a transfer
// in each direction, and their bytes are frames:
//
//	listener                                  dialer
//	  | PAIR_NAME                     PAIR_NAME |  what each end calls itself
//	  |<--------------------------------------->|
//	  | PAIR_AGREED {addrs}         PAIR_AGREED |  the user of the end wants it
//	  |<--------------------------------------->|
//	  |                             PAIR_STORED |  the other node is on the disk
//	  |<----------------------------------------|
//	  | PAIR_STORED                             |
//	  |---------------------------------------->|
//
// An end stores the other one after it has sent and got PAIR_AGREED. An end that closes the
// link before PAIR_STORED wants no pairing: the other end removes the peer that it has stored.
//
// # A broken link
//
// A transfer outlives its link. A dialer that hears nothing closes the connection
// with [CodeBroken], in case that still reaches the listener, dials again, and sends
// P2P_HELLO with method "resume". The token is the transfer's id, the secret
//
//	HKDF-Expand(PRK of the transfer's first link, LabelResume, 32)
//
// which only the two ends of that link know; the node keys must be the same too.
// On the new link each receiver first sends FILE_RESUME with the number of bytes
// that it has. Each sender continues from there, or repeats FILE_DONE. A final
// FILE_ACK is repeated too.
//
// The dialer may do the same while the link works, when it has connected over a better
// path. The listener then closes the old link, which has carried the transfer until that
// moment. P2P_HELLO.try numbers the links of a transfer, so that a P2P_HELLO which the
// dialer has given up, and which comes late, displaces no link.
//
// # Several flows
//
// The dialer may open further links for a transfer that has one: P2P_HELLO with
// method "flow", and token and secret as for "resume". They carry FILE_CHUNKs only,
// in each direction; all other frames stay on the first link. Then chunks come in
// any order, within the window. When a flow ends before the transfer, the sender
// repeats on the others what it sent there and is not acknowledged, and the
// receiver takes each byte once. When the first link breaks, the dialer gives up
// the other ones too.
//
// # The end
//
// The listener sends FIN when it has received the final FILE_ACK of what it sent
// and has written the final FILE_ACK of what it received. The dialer, when it has
// that FIN and has finished too, closes the connection with [CodeBase]. An end that
// fails closes the connection with [CodeBase] plus its exit code, and the name of
// that code as the reason.
package proto
