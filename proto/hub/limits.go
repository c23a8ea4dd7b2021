package hub

import "time"

// Specification: both ends must agree on these.
const (
	// Subprotocol is the WebSocket subprotocol of this version.
	Subprotocol = "mesh-hub.1"
	// ExporterLabel is the label of the TLS exporter value that binds a login to its
	// connection; BindingBytes is its length.
	ExporterLabel = "EXPORTER-mesh-hub-login"
	BindingBytes  = 32
	// ClientNonceBytes and NonceBytes are the lengths of the nonces of the client and
	// of the hub.
	ClientNonceBytes = 16
	NonceBytes       = 32
	// SignatureBytes is the length of an Ed25519 signature.
	SignatureBytes = 64
	// SealKeyBytes is the length of the HPKE public key in a request.
	SealKeyBytes = 1184 + 32

	// MaxEventBytes bounds an event, MaxHelloBytes one before the login.
	MaxEventBytes = 64 << 10
	MaxHelloBytes = 8 << 10
	// MaxDepth bounds the objects and arrays inside each other in an event.
	MaxDepth = 8
	// MaxSealedBytes bounds a sealed field, MaxTextBytes any text but a voucher, and
	// MaxAgentBytes the name of a program.
	MaxSealedBytes = 8 << 10
	MaxTextBytes   = 256
	MaxAgentBytes  = 64
	// MaxIDBytes bounds the id of a client's event.
	MaxIDBytes = 32
	// MaxNameBytes bounds the name of a node or of a room.
	MaxNameBytes = 63
	// MaxNames is how many names a node may have, and so the length of register[].
	MaxNames = 8
	// MaxRooms is how many rooms a connection may be in, MaxRoomPage how many nodes one
	// room.peers lists.
	MaxRooms    = 32
	MaxRoomPage = 100
	// MaxVouchers and MaxVoucherBytes bound the vouchers that an event shows.
	MaxVouchers     = 8
	MaxVoucherBytes = 768
	// MaxCandidates bounds the candidates of one generation, MaxRelays relay[] and
	// stun[] each.
	MaxCandidates = 16
	MaxRelays     = 4
	// AnswerTimeout is how long a listener has to answer a request that names no time;
	// MaxAnswer bounds the time that a request names. A pending listener gets
	// PendingTimeout more, once.
	AnswerTimeout  = 20 * time.Second
	MaxAnswer      = 60 * time.Second
	PendingTimeout = 60 * time.Second
	// SessionLife is how long a hub knows a session, TokenLife how long a token that a
	// session brought may be used.
	SessionLife = 10 * time.Minute
	TokenLife   = 10 * time.Minute
	// APITokenLife is the life of an API token that the hub does not store, and
	// MaxAPITokenLife bounds that of one that it does.
	APITokenLife    = 10 * time.Minute
	MaxAPITokenLife = 365 * 24 * time.Hour
	// CodeLife is how long a code may be claimed. A node has at most MaxCodes at a time.
	CodeLife = 10 * time.Minute
	MaxCodes = 4
	// ConfirmTimeout is how long the dialer has to confirm a code that it has claimed,
	// and then the listener to answer.
	ConfirmTimeout = 20 * time.Second
	// MaxNewCodes is how many new codes a listener shows, one after each wrong one.
	MaxNewCodes = 3
	// ShareBytes is the length of a CPace share, TagBytes that of the proof that an end
	// knows the code.
	ShareBytes = 32
	TagBytes   = 32
	// PingEvery is the time between two WebSocket pings of a client, give or take a
	// tenth; MakingPingEvery is that time while a session is being made. PongTimeout
	// bounds the wait for the pong. A hub gives up a connection that is silent for
	// LostAfter.
	PingEvery       = 20 * time.Second
	MakingPingEvery = 5 * time.Second
	PongTimeout     = 10 * time.Second
	LostAfter       = 50 * time.Second
	// Grace is how long a node counts as online after its connection was lost.
	Grace = 5 * time.Second
	// DateSlack is how long dates hold beyond their end, since clocks differ.
	DateSlack = 10 * time.Minute
)

// What a client takes of a hub at most, whatever the hub says.
const (
	MaxGoAwayAfter  = time.Minute
	MaxGoAwaySpread = 5 * time.Minute
	MaxRetryAfter   = 5 * time.Minute
	// MaxMaking is how many sessions of one node may be in the making at a time.
	MaxMaking = 64
)

// The codes with which a hub closes a WebSocket, beside those of RFC 6455.
const (
	CloseGoingAway   = 1001
	CloseRestart     = 1012
	CloseFull        = 1013
	CloseBadEvent    = 4000 // malformed, or out of order
	CloseBadLogin    = 4001 // signature, binding or shape of the login
	CloseNoMember    = 4003 // not, or no longer, a member
	CloseVersion     = 4005 // no common subprotocol
	CloseTooSlow     = 4008 // reads too slowly, or floods
	CloseReplaced    = 4009 // the same instance has logged in again
	HubPathWebSocket = "/ws"
)
