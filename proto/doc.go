// Package proto is the mesh protocol on one page: the words, the order of
// messages, and every constant and limit of the wire. The packages below it
// hold the parts: wire (messages to bytes), identity (node keys), token,
// handshake (the proof), link (over QUIC, or over package tcp).
//
// # A link
//
// The dialer opens a QUIC connection (ALPN [ALPN], TLS 1.3 only) to the
// listener. Each side shows exactly one self-signed Ed25519 certificate; the
// key in it is its node key. The dialer knows the listener's node id and checks
// it inside the TLS handshake. The dialer opens the link's one bidirectional
// stream and speaks first:
//
//	dialer                                   listener
//	  | P2P_HELLO {method, token, proof}        |
//	  |---------------------------------------->|  proof right, caps allow it?
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
//	  |                                     FIN |  the listener has all it needs
//	  |<----------------------------------------|
//	  | CONNECTION_CLOSE, code 0x4d00           |
//	  |---------------------------------------->|
//
// Each direction of the stream carries one transfer, and its acknowledgements
// travel the other way between the other transfer's frames.
//
// # Over TCP
//
// The listener takes TLS 1.3 over TCP at the same port, with the same ALPN,
// certificates, pin and proof; a connection carries one link. What QUIC has and
// TCP lacks is in the blocks that each direction of the TLS stream consists of:
//
//	u32 n, 1 to MaxBlockBytes | n bytes of the link's stream
//	u32 0 | u32 0             the end of the stream (FIN above)
//	u32 0 | u32 1             a sign of life, when nothing else was sent for KeepAlive
//	u32 0 | u32 code          the connection's closing (CONNECTION_CLOSE above)
//
// What ends in any other way has broken. Nothing heard for [IdleTimeout] is a
// broken link here too.
//
// # A frame
//
//	u32 length of body, big endian | u8 type | body
//
// Control bodies are JSON in one form only: the fields in the order of the
// structs in package wire, no white space, no field at its zero value where the
// struct says omitempty. A body that does not come out the same when it is
// encoded again is refused. FILE_CHUNK is binary: u64 offset, then data.
//
// # The proof
//
// With X the TLS exporter value (RFC 9266, label [ExporterLabel], 32 bytes)
// and S the secret that the credential stands for (none for an authorised
// key):
//
//	PRK = HKDF-Extract(SHA-256, salt X, S)
//	Kd  = HKDF-Expand(PRK, LabelDialer, 32)
//	Kl  = HKDF-Expand(PRK, LabelListener, 32)
//	P2P_HELLO.proof = HMAC-SHA-256(Kd, dialer id | listener id | HELLO')
//	P2P_OK.proof    = HMAC-SHA-256(Kl, dialer id | listener id | u32 len(HELLO) | HELLO | OK')
//
// where HELLO is the whole body as it was sent, HELLO' and OK' the bodies with
// the proof 32 zero bytes. X differs for each TLS session, so a proof is worth
// nothing on another link; the role labels keep one from serving as the other.
// The id of the transfer that begins is
//
//	HKDF-Expand(PRK, LabelTransfer, 16)
//
// so that the dialer knows it before P2P_OK repeats it. Since the dialer has
// pinned the listener's key, its first frames may ride along with P2P_HELLO, up
// to what fits the window before the proof; the listener reads them when it has
// said P2P_OK, and if it does not, they are lost with the connection.
//
// # A transfer
//
// The sender never has more than the receiver's window (P2P_HELLO.window,
// P2P_OK.window) sent and not yet acknowledged, and the receiver can hold that
// much, so that acknowledgements never wait behind data that nobody takes.
// FILE_ACK.bytes counts what the consumer took. A final FILE_ACK ends the
// transfer: after FILE_DONE it carries the digest of everything and means
// stored, or taken by the consumer; before FILE_DONE it means that the consumer
// takes no more.
//
// # Files
//
// With P2P_HELLO.kind "files" there is a transfer each way whatever was granted,
// one of who sends files and one of who stores them, and their bytes are frames
// again (package wire has the fields, package pipe/files both ends):
//
//	sender                                    receiver
//	  | FILES_ENTRY FILES_ENTRY …               |  depth first, sorted; many ahead
//	  |---------------------------------------->|
//	  |                          FILES_ANSWER … |  one each, unless "now":
//	  |<----------------------------------------|  fresh, skip, have N bytes, no
//	  | FILES_FROM FILES_DATA … FILES_END       |  for each file that is wanted,
//	  |---------------------------------------->|  in the order of the entries
//	  |                         FILES_REFUSED … |  what is not stored after all
//	  |<----------------------------------------|
//	  | FILES_TOTAL                             |
//	  |---------------------------------------->|
//	  |                            FILES_STORED |  all is durable
//	  |<----------------------------------------|
//
// In a folder that the receiver has made (fresh) nothing can be there, so what
// goes into it is announced with "now" and its data follows at once: no round
// trip for a file. Elsewhere at most [MaxPending] entries wait. A small file is
// announced with its digest; of a larger one that the receiver has, in whole or
// in part, the receiver tells the length and digest, and the sender goes on
// behind that if its own file begins so.
//
// Names come in the order of what case folding and composition make of them, so
// that two that some system takes for one follow each other, and are refused.
//
// # Terminals
//
// With P2P_HELLO.kind "tty" who dials views the terminal that the listener
// shares, and there is a transfer each way again, whose bytes are frames:
//
//	sharer                                    viewer
//	  |              TERM_OPEN {mode, size} … |
//	  |<----------------------------------------|
//	  | TERM_SESSION {name, rights, size}       |
//	  |---------------------------------------->|
//	  | TERM_SNAPSHOT TERM_OUT TERM_RESIZE …    |  in the order of the output
//	  |---------------------------------------->|
//	  |   TERM_ACK … TERM_IN … TERM_RESIZE …    |  the last two with tty:control,
//	  |   TERM_CTL {ask} …                      |  which the last asks for
//	  |<----------------------------------------|
//	  | TERM_EXIT {code}                        |
//	  |---------------------------------------->|
//
// A position, seq, is an offset in all output that there was since the command
// began. TERM_OUT, TERM_SNAPSHOT, TERM_RESIZE, TERM_MARK and TERM_EXIT have one
// order; TERM_CTL may come between any two. A viewer of mode "screen" gets a
// snapshot first, and again in place of output that it is too slow for; one of
// mode "raw" gets every byte from where it came, or with "history" from as far
// back as the sharer can, and only if it falls further behind than that a
// snapshot; one of mode "record" gets a snapshot first, and then what one of mode
// "raw" gets. A snapshot sets the terminal to its own size. The sharer has no more
// output on its way to a viewer than that takes in a moment, which the TERM_ACKs
// say. What a viewer may do is what its link was granted, until a TERM_CTL says
// otherwise: the sharer can give tty:control to a viewer's node for the rest of the
// session, and take it away. Who types without ever having had it is cut off
// (capability); who has it no more is not heard, since that may be news to it.
// Either ends by ending its pipe.
//
// # A broken link
//
// A transfer outlives its link. When nothing is heard the dialer gives the link
// up ([CodeBroken], if that still gets through), dials again, and says P2P_HELLO
// with method "resume", the transfer's id as the token, and as its secret
//
//	HKDF-Expand(PRK of the transfer's first link, LabelResume, 32)
//
// which only the two ends of that link know; the node keys must be the same too.
// On the new link each receiver first sends FILE_RESUME with the bytes it has,
// and each sender goes on from there, or repeats FILE_DONE; a final FILE_ACK is
// repeated too.
//
// # Several flows
//
// The dialer may make further links for a transfer that has one: P2P_HELLO with
// method "flow", and token and secret as for "resume". They carry FILE_CHUNKs
// alone, each way, while all other frames stay on the first link; chunks then
// come in any order, within the window. When a flow ends before the transfer,
// the sender repeats on others what it is not sure of, and the receiver takes
// each byte once. When the first link breaks, the dialer gives up the others too.
//
// # The end
//
// The listener sends FIN when it has the final FILE_ACK of what it sent and has
// written the final FILE_ACK of what it got; the dialer, when it has that FIN
// and is done too, closes with [CodeBase]. Whoever fails closes the connection with
// [CodeBase] plus its exit code and that code's name.
package proto

import "time"

// Specification: both ends must agree on these.
const (
	// ALPN names the protocol and its major version.
	ALPN = "mesh/1"
	// TokenPrefix begins the text of every token.
	TokenPrefix = "mesh1"
	// LabelCapability, and a zero byte, stand before the claims that a signed
	// capability signs.
	LabelCapability = "mesh/1 capability"
	// ViaQUIC and ViaTCP name the carriers of a link, as users give and see them.
	ViaQUIC = "quic"
	ViaTCP  = "tcp"
	// HelloVersion is the P2P_HELLO.version that this code speaks.
	HelloVersion = 1
	// ExporterLabel is the channel binding of RFC 9266; ExporterBytes its length.
	ExporterLabel = "EXPORTER-Channel-Binding"
	ExporterBytes = 32
	// LabelDialer and LabelListener separate the two proofs' keys.
	LabelDialer   = "mesh/1 dialer proof"
	LabelListener = "mesh/1 listener proof"
	// LabelResume makes the secret that goes on with a transfer.
	LabelResume = "mesh/1 resume"
	// ResumeSecretBytes is that secret's length.
	ResumeSecretBytes = 32
	// NonceBytes and ProofBytes are the lengths of the handshake's fields.
	NonceBytes = 32
	ProofBytes = 32

	// FrameHeaderBytes is the length and the type before each body.
	FrameHeaderBytes = 5
	// MaxUnprovenFrameBytes bounds P2P_HELLO, P2P_OK and P2P_DENY.
	MaxUnprovenFrameBytes = 4 << 10
	// MaxControlFrameBytes bounds every other JSON body.
	MaxControlFrameBytes = 64 << 10
	// ChunkHeaderBytes is FILE_CHUNK's offset, MaxChunkBytes its data.
	ChunkHeaderBytes = 8
	MaxChunkBytes    = 256 << 10
	// MinWindowBytes and MaxWindowBytes bound what either end may announce.
	MinWindowBytes = 256 << 10
	MaxWindowBytes = 1 << 30
	// MaxTransferBytes is the largest offset.
	MaxTransferBytes = 1<<63 - 1
	// TransferIDBytes is the length of a transfer's id, LabelTransfer makes it.
	TransferIDBytes = 16
	LabelTransfer   = "mesh/1 transfer"
	// MaxFlows bounds the links that carry one transfer at a time.
	MaxFlows = 16
	// MaxPieces bounds the pieces, received with holes between them, of each
	// MaxChunkBytes of a transfer, counted from its begin.
	MaxPieces = 64
	// SmallFileBytes is the largest file that is announced with its digest, and
	// comes in one frame.
	SmallFileBytes = 64 << 10
	// MaxPending is how many FILES_ENTRYs may wait for their answer or their
	// data.
	MaxPending = 4096
	// MaxPathBytes, MaxNameBytes and MaxDepth bound the path of a file, a
	// component of it, and how many it has.
	MaxPathBytes = 4096
	MaxNameBytes = 255
	MaxDepth     = 100
	// MaxTermCols and MaxTermRows bound the size of a shared terminal.
	MaxTermCols = 1000
	MaxTermRows = 500
	// MaxTermOutBytes, MaxTermInBytes and MaxTermSnapshotBytes bound what one
	// frame has of a terminal's output, of its input, and of a repaint; a header
	// comes before the first and the last.
	MaxTermOutBytes         = 16 << 10
	TermOutHeaderBytes      = 8
	MaxTermInBytes          = 4 << 10
	MaxTermSnapshotBytes    = 8 << 20
	TermSnapshotHeaderBytes = 12
	// MaxTermControlBytes bounds the JSON bodies of a terminal's frames.
	MaxTermControlBytes = 8 << 10
	// MaxTermScrollback is how many lines above the screen a viewer may ask for.
	MaxTermScrollback = 10000
	// MaxTermNameBytes and MaxTermTextBytes bound a name, and a mark or notice;
	// MaxTermWriters how many names there are in a TERM_CTL.
	MaxTermNameBytes = 128
	MaxTermTextBytes = 512
	MaxTermWriters   = 16

	// CodeBase is the application error code of exit code 0.
	CodeBase = 0x4d00
	// CodeBroken is the application error code of a link that is given up while
	// its transfer is not.
	CodeBroken = CodeBase + 0x80
)

// Implementation: the other end need not know these.
const (
	// WindowBytes is the window that we announce: what a receiver may have to
	// hold for a slow consumer, and a sender keeps until it is acknowledged.
	WindowBytes = 16 << 20
	// MaxFirstBytes is how much data may ride along with P2P_HELLO: less than
	// UnprovenWindowBytes, so that nobody waits.
	MaxFirstBytes = 32 << 10
	// MaxBlockBytes bounds a block of the stream over TCP.
	MaxBlockBytes = 1 << 20
	// TermWindowBytes is the window that both ends of a shared terminal announce:
	// what is old is not worth being kept for who does not take it.
	TermWindowBytes = MinWindowBytes
	// AckEveryBytes is how much a consumer takes between two FILE_ACKs, or a
	// quarter of the window where that is less.
	AckEveryBytes = 1 << 20
	// UnprovenWindowBytes is the QUIC window before the proof.
	UnprovenWindowBytes = 64 << 10
	// HelloTimeout is how long a connection may take for its TLS handshake and a
	// valid P2P_HELLO.
	HelloTimeout = 5 * time.Second
	// DialTimeout is when a peer that does not answer is unreachable.
	DialTimeout = 10 * time.Second
	// IdleTimeout is when a silent link is given up; KeepAlive keeps a live one
	// from being silent. QuietTimeout is when a dialer that can go on with its
	// transfer rather dials again; one that has slept for IdleTimeout, or has lost
	// its address, does so at once.
	IdleTimeout  = 8 * time.Second
	QuietTimeout = 4 * time.Second
	KeepAlive    = 1 * time.Second
	// RedialTimeout is how long one try to come back lasts, RedialPause the time
	// between two.
	RedialTimeout = 2 * time.Second
	RedialPause   = 200 * time.Millisecond
	// CloseTimeout bounds the wait for the peer's orderly close.
	CloseTimeout = 2 * time.Second
	// MaxUnproven and MaxUnprovenPerSource bound connections that have not
	// proven themselves, a source being an IPv4 address or an IPv6 network of 64
	// bits; from RetryUnproven on, addresses are validated first
	// (QUIC Retry, RFC 9000 section 8.1.2).
	MaxUnproven          = 256
	MaxUnprovenPerSource = 128
	RetryUnproven        = 32
)
