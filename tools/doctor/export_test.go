package doctor

// Dialable is dialable.
var Dialable = dialable
