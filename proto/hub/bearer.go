package hub

import (
	"crypto/hmac"
	"crypto/sha256"

	"mesh/proto/identity"
)

// labelMeet begins what the MAC of a bearer is made of.
const labelMeet = "mesh/1 meet"

// Bearer shows that the dialer has a token of the listener ([MethodKnown]) or a transfer
// with it ([MethodResume]), so that no name is needed and no person is asked. Token is
// that of P2P_HELLO: what names the token, or the transfer's id.
type Bearer struct {
	Method string `json:"method"`
	Token  []byte `json:"token"`
	MAC    []byte `json:"mac"`
}

// NewBearer returns the bearer for a request of one session. Secret is that of the token or
// of the transfer.
func NewBearer(method string, token, secret []byte, session ID, dialer, listener identity.ID) *Bearer {
	return &Bearer{method, token, bearerMAC(secret, session, dialer, listener)}
}

// Proves reports whether the dialer that asks for a session has the secret.
func (b *Bearer) Proves(secret []byte, session ID, dialer, listener identity.ID) bool {
	return len(secret) > 0 && hmac.Equal(b.MAC, bearerMAC(secret, session, dialer, listener))
}

func bearerMAC(secret []byte, session ID, dialer, listener identity.ID) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(labelMeet))
	mac.Write(session[:])
	mac.Write(dialer[:])
	mac.Write(listener[:])
	return mac.Sum(nil)
}
