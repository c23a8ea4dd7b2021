package proto

import "time"

// Specification: both ends must agree on these.
const (
	// ALPN names the protocol and its major version. ALPNMinor1 names its minor version
	// 1, in which a sender of files may send FILES_HOLE and FILES_ENTRY.holes, and their
	// receiver the reason of a refusal in words and how many bytes are stored.
	// ALPNMinor2 names minor version 2, in which a dialer knows the class path of P2P_DENY,
	// and P2P_HELLO has the field try.
	// ALPNMinor3 names minor version 3, in which the receiver of a pipe acknowledges all that
	// was taken once nothing has come for [IdleAck].
	// ALPNMinor4 names minor version 4, in which P2P_HELLO of a pipe may have a name.
	// ALPNMinor5 names minor version 5, in which the receiver of files can ask how many
	// bytes come in all.
	ALPN       = "mesh/1"
	ALPNMinor1 = "mesh/1.1"
	ALPNMinor2 = "mesh/1.2"
	ALPNMinor3 = "mesh/1.3"
	ALPNMinor4 = "mesh/1.4"
	ALPNMinor5 = "mesh/1.5"
	// TokenPrefix begins the text of every token.
	TokenPrefix = "mesh1"
	// LabelCapability, and a zero byte, stand before the claims that a signed
	// capability signs.
	LabelCapability = "mesh/1 capability"
	// ViaQUIC and ViaTCP name the transports, as users give and see them.
	ViaQUIC = "quic"
	ViaTCP  = "tcp"
	// HelloVersion is the P2P_HELLO.version that this code speaks.
	HelloVersion = 1
	// ExporterLabel is the label of the TLS exporter value that RFC 9266 uses as a
	// channel binding; ExporterBytes is the length of the value.
	ExporterLabel = "EXPORTER-Channel-Binding"
	ExporterBytes = 32
	// LabelDialer and LabelListener make the keys of the two proofs different.
	LabelDialer   = "mesh/1 dialer proof"
	LabelListener = "mesh/1 listener proof"
	// LabelResume derives the secret that resumes a transfer, of
	// ResumeSecretBytes.
	LabelResume       = "mesh/1 resume"
	ResumeSecretBytes = 32
	// NonceBytes and ProofBytes are the lengths of the handshake's fields.
	NonceBytes = 32
	ProofBytes = 32

	// FrameHeaderBytes is the size of the length and the type before each body.
	FrameHeaderBytes = 5
	// MaxHandshakeFrameBytes bounds P2P_HELLO, P2P_OK and P2P_DENY.
	MaxHandshakeFrameBytes = 4 << 10
	// MaxControlFrameBytes bounds every other JSON body.
	MaxControlFrameBytes = 64 << 10
	// ChunkHeaderBytes is the size of a FILE_CHUNK's offset; MaxChunkBytes bounds
	// its data.
	ChunkHeaderBytes = 8
	MaxChunkBytes    = 256 << 10
	// MinWindowBytes and MaxWindowBytes bound the window that an end announces.
	MinWindowBytes = 256 << 10
	MaxWindowBytes = 1 << 30
	// MaxTransferBytes is the largest offset.
	MaxTransferBytes = 1<<63 - 1
	// TransferIDBytes is the length of a transfer's id; LabelTransfer derives it.
	TransferIDBytes = 16
	LabelTransfer   = "mesh/1 transfer"
	// MaxFlows bounds the links that carry one transfer at a time, the first
	// included.
	MaxFlows = 16
	// MaxPieces bounds the pieces with gaps between them that a receiver holds of
	// each MaxChunkBytes of a transfer, counted from its start.
	MaxPieces = 64
	// MaxWhyBytes bounds the reason of a refusal in words.
	MaxWhyBytes = 256
	// MaxHoleBytes bounds the zeros that a FILES_HOLE stands for.
	MaxHoleBytes = 1 << 20
	// MaxLinked bounds the files of a transfer that other names may be links to.
	MaxLinked = 1 << 12
	// SmallFileBytes is the size of the largest file that is announced with its
	// digest and sent in one frame.
	SmallFileBytes = 64 << 10
	// MaxPending bounds the FILES_ENTRYs that wait for their answer or their data.
	MaxPending = 4096
	// MaxTakeNames bounds the names in a FILES_TAKE, and MaxListed the FILES_LISTEDs of
	// a list.
	MaxTakeNames = 1000
	MaxListed    = 1 << 22
	// MaxPathBytes bounds the path of a file, MaxNameBytes each of its components,
	// and MaxDepth their number.
	MaxPathBytes = 4096
	MaxNameBytes = 255
	MaxDepth     = 100
	// MaxTermCols and MaxTermRows bound the size of a shared terminal.
	MaxTermCols = 1000
	MaxTermRows = 500
	// MaxTermOutBytes, MaxTermInBytes and MaxTermSnapshotBytes bound the output,
	// the input and the snapshot in one frame. A header stands before output and
	// snapshot.
	MaxTermOutBytes         = 16 << 10
	TermOutHeaderBytes      = 8
	MaxTermInBytes          = 4 << 10
	MaxTermSnapshotBytes    = 8 << 20
	TermSnapshotHeaderBytes = 12
	// MaxTermControlBytes bounds the JSON bodies of terminal frames.
	MaxTermControlBytes = 8 << 10
	// MaxTermScrollback bounds the lines above the screen that a viewer asks for.
	MaxTermScrollback = 10000
	// MaxTermNameBytes bounds a name, MaxTermTextBytes a mark or notice, and
	// MaxTermWriters the names in a TERM_CTL.
	MaxTermNameBytes = 128
	MaxTermTextBytes = 512
	MaxTermWriters   = 16

	// MaxPairFrameBytes bounds a frame of two nodes that pair, MaxPairNameBytes the name
	// in it, MaxPairAddrs its addresses and MaxPairAddrBytes one of these.
	MaxPairFrameBytes = 4 << 10
	MaxPairNameBytes  = 63
	MaxPairAddrs      = 8
	MaxPairAddrBytes  = 260

	// CodeBase is the application error code of exit code 0.
	CodeBase = 0x4d00
	// CodeBroken is the application error code that closes a link whose transfer
	// continues on another one.
	CodeBroken = CodeBase + 0x80
)

// Implementation: the other end need not know these.
const (
	// WindowBytes is the default window. A receiver may have to hold that much for
	// a slow consumer; a sender keeps that much until it is acknowledged.
	WindowBytes = 16 << 20
	// BudgetBytes bounds the windows, in both directions, of all transfers that peers
	// have begun at one endpoint: the window in P2P_OK shrinks with what is left.
	BudgetBytes = 256 << 20
	// MaxFirstBytes bounds the data that a dialer sends with P2P_HELLO. It is less
	// than HandshakeWindowBytes, so that the dialer need not wait.
	MaxFirstBytes = 32 << 10
	// MaxBlockBytes bounds a block of the stream over TCP.
	MaxBlockBytes = 1 << 20
	// TermWindowBytes is the window that both ends of a shared terminal announce.
	// It is the smallest one: a slow viewer needs a new snapshot, not old output.
	TermWindowBytes = MinWindowBytes
	// AckEveryBytes is what a consumer takes between two FILE_ACKs, or a quarter of
	// the window if that is less.
	AckEveryBytes = 1 << 20
	// IdleAck is how long the consumer of a pipe takes nothing more until all that it has
	// taken is acknowledged, however little that is.
	IdleAck = 50 * time.Millisecond
	// HandshakeWindowBytes is the QUIC window before the proof.
	HandshakeWindowBytes = 64 << 10
	// HelloTimeout bounds the TLS handshake and P2P_HELLO of a connection together.
	HelloTimeout = 5 * time.Second
	// MetaTimeout is how long a dialer that sends may take from P2P_OK to FILE_META.
	MetaTimeout = HelloTimeout
	// StallBytes are the bytes that count as progress within StallTimeout. StallTimeout
	// is how long a peer may make no progress with what it owes before the
	// listener gives its place to another peer.
	StallBytes   = 64 << 10
	StallTimeout = 5 * time.Minute
	// DialTimeout is how long a dialer waits for an answer.
	DialTimeout = 10 * time.Second
	// IdleTimeout is how long a link may be silent before either end gives it up;
	// an end sends a keep-alive when it has sent nothing for KeepAlive. A dialer
	// that can resume its transfer dials again after QuietTimeout, or at once if
	// its host was suspended for IdleTimeout or has lost its address.
	IdleTimeout  = 8 * time.Second
	QuietTimeout = 4 * time.Second
	KeepAlive    = 1 * time.Second
	// QuietWithRelay and PendingWithRelay replace QuietTimeout where the transfer can go
	// on through a relay; the second while the peer owes an acknowledgement.
	QuietWithRelay   = 2500 * time.Millisecond
	PendingWithRelay = 2 * time.Second
	// RedialTimeout bounds one attempt to resume; RedialPause is the time between
	// two attempts.
	RedialTimeout = 2 * time.Second
	RedialPause   = 200 * time.Millisecond
	// CloseTimeout bounds the wait for the peer to close the connection.
	CloseTimeout = 2 * time.Second
	// HurriedHelloTimeout replaces HelloTimeout while half of the half-open
	// connections that may be are there.
	HurriedHelloTimeout = 2 * time.Second
	// MaxHalfOpen and MaxHalfOpenPerSource bound the half-open connections, whose
	// dialers are not yet authenticated, from the ClientHello on over TCP and from the
	// TLS handshake on over QUIC. A source is an IPv4 address or an IPv6 network of 48,
	// 56 or 64 bits. MaxSilent bounds those before, for each transport; over QUIC a
	// source may have MaxHalfOpenPerSource of them too, and FewSilentPerSource while
	// half of MaxSilent are there. While there are RetryHalfOpen or more in all, the
	// listener validates the addresses of new ones first (QUIC Retry, RFC 9000 section
	// 8.1.2).
	MaxHalfOpen          = 256
	MaxHalfOpenPerSource = 128
	MaxSilent            = 1024
	FewSilentPerSource   = 16
	RetryHalfOpen        = 32
	// TallyEvery is the time between two lines of a log about strangers.
	TallyEvery = time.Minute
)
