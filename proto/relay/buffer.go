package relay

import "sync"

// A buffer is held only while bytes move: most pairs are idle.
func getBuffer() []byte  { return *buffers.Get().(*[]byte) }
func putBuffer(b []byte) { buffers.Put(&b) }

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferBytes); return &b }}
