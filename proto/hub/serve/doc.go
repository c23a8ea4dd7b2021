// Package serve is a hub on the network: it accepts connections, lets nodes log in, and
// carries their events to and from a [broker.Broker].
//
// TLS and plain HTTP come in at one port; the first byte of a connection tells them
// apart. A connection without TLS is taken from this machine, and from the proxies in
// [Options.Proxies], which end TLS themselves.
package serve
