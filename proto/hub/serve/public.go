package serve

import (
	_ "embed"
	"io"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

//go:embed openapi.json
var openAPI []byte

// Ready is the answer of a hub that takes logins. Bound says that its proof names the
// connection of a node that connects as the asker did: no TLS ends before it.
type Ready struct {
	Bound bool `json:"bound"`
}

// WellKnown is what everybody may know of a hub. Origin is what a login from the asker's
// side signs.
type WellKnown struct {
	Hub       identity.ID       `json:"hub"`
	Origin    string            `json:"origin"`
	Protocols []string          `json:"protocols"`
	Software  string            `json:"software"`
	Limits    map[string]uint32 `json:"limits"`
	Guests    bool              `json:"guests"`
}

// publicRoutes are those that need no API token.
func (s *Server) publicRoutes() []route {
	return []route{
		{method: "GET", path: "/healthz", public: true, do: func(*call) (any, error) { return nil, nil }},
		{method: "GET", path: "/readyz", public: true, do: s.ready},
		{method: "GET", path: "/.well-known/mesh-hub", public: true, do: s.wellKnown},
		{method: "GET", path: "/openapi.json", public: true, do: func(*call) (any, error) {
			return stream{"application/json", func(w io.Writer) error {
				_, err := w.Write(openAPI)
				return err
			}}, nil
		}},
	}
}

func (s *Server) ready(c *call) (any, error) {
	if s.o.Broker.Draining() {
		return nil, refuse(hub.CodeDraining, "the hub is about to end")
	}
	if s.o.Ready != nil {
		if err := s.o.Ready(); err != nil {
			return nil, &broker.Refusal{Code: hub.CodeStore, Err: err}
		}
	}
	return Ready{Bound: c.TLS != nil}, nil
}

func (s *Server) wellKnown(c *call) (any, error) {
	limits := s.o.Broker.Told()
	return WellKnown{
		Hub: s.o.Key.ID(), Origin: c.at.origin, Protocols: []string{hub.Subprotocol}, Software: s.o.Software,
		Limits: limits, Guests: limits[hub.LimitGuests] == 1,
	}, nil
}
