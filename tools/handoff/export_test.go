package handoff

import (
	"io"
	"net"

	"mesh/proto/wire"
)

// MaxFrameBytes is maxFrameBytes.
const MaxFrameBytes = maxFrameBytes

type fake struct {
	net.Conn
	r io.Reader
}

func (f fake) Read(p []byte) (int, error) { return f.r.Read(p) }

// ReadFrames calls see with the frames that r has, and returns what ends them.
func ReadFrames(r io.Reader, see func(typ wire.Type, body []byte)) error {
	for c := newConn(fake{r: r}); ; {
		typ, body, err := c.readFrame()
		if err != nil {
			return err
		}
		see(typ, body)
	}
}
