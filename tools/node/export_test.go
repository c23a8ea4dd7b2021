package node

// NameOfHost is nameOfHost, for tests.
var NameOfHost = nameOfHost
