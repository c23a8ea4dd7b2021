// Package pipe moves bytes over links: a verified transfer in each direction that
// a link grants. [Exchange] runs them and returns a [Receipt] for each.
//
// A transfer, from the sender's [Source] to the receiver's [Sink]:
//
//	sender                                          receiver
//	source                                             sink
//	  | readSource: hash into sendBuffer                 ^ writeSink: hash
//	  v                                                  |
//	outgoing: sendState assigns bytes to subflows      incoming: reassembly buffer
//	  | sendOn: FILE_META, FILE_CHUNK …, FILE_DONE       ^ readFrame, readChunk
//	  +---------------------- links ---------------------+
//	  ^ handleAck, handleResume                          | sendAcks: FILE_RESUME, FILE_ACK …
//	  +------------------ primary link ------------------+
//
// The end. The receiver compares the digest of FILE_DONE with that of the bytes its
// sink took, lets the sink finish, and sends the final FILE_ACK with the digest. The
// sender's transfer has ended when that has come. So success means the same at both
// ends, and a broken link is never mistaken for an end. A consumer may leave earlier;
// its final FILE_ACK then says how many bytes it took.
//
// Resuming. An exchange crosses a primary link; when that breaks, another link
// replaces it, and the exchange begins a new leg. The sender keeps every byte until
// it is acknowledged, at most a window (or the spool) of them. On the new link the
// receiver says up to where it has all bytes, and the sender continues there.
//
// Flows. Links beside the primary one carry chunks alone. The sender has a subflow
// for each link. When a link is lost, the bytes that its subflow wrote and that were
// not acknowledged are sent again over another. The receiver takes each byte once.
//
// Invariants. On the sender, acked ≤ next ≤ highest ≤ end: the buffer has every byte
// from acked to end, and each byte from acked to next is with exactly one subflow,
// waits to be sent again, or has reached the peer (see sendState). On the receiver,
// taken ≤ end ≤ highest ≤ taken + window (see incoming). So each end buffers no more
// than a window, whatever the other one does; only a spool may be larger.
//
// Files and terminals are dialogues of messages over a transfer in each direction:
// see [StartDialogue].
package pipe
