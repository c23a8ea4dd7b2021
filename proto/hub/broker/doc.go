// Package broker is the hub without sockets: who is a member, who has which name, who is
// online, and which sessions are in the making. Events of clients go in with
// [Conn.Handle]; what the hub sends goes to the [Out] of each connection.
//
// A Broker starts no goroutine. Its owner calls [Broker.Sweep] every [SweepEvery], which
// is when its time limits take effect.
//
// Members, invites, lasting names and bans are facts: a change is written to the [Store]
// before it is answered. All else is memory, and clients announce it again after a
// restart.
package broker
