package identity

import "crypto/tls"

// VerifyBy makes a TLS configuration take the certificate of a peer without asking a
// certificate authority: verify alone decides. TLS has verified that the peer has the
// private key. It replaces VerifyConnection.
func VerifyBy(cfg *tls.Config, verify func(tls.ConnectionState) error) {
	cfg.InsecureSkipVerify = true // VerifyConnection verifies
	cfg.VerifyConnection = verify
}
