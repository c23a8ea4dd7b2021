// Package agent is a hub as a node sees it. [Dial] logs in once. An [Agent] stays logged
// in: it connects again when the connection is lost, registers the node's names anew,
// asks for sessions, and answers the requests of others. [Updates] exchanges the candidates
// of the two ends of a session, later too.
//
// A hub is believed in nothing but who is online. What decides (who the peer is, what it
// may do) is signed by the peer and checked here or by the caller.
package agent
