package hub

import "crypto/hpke"

// ParseSealKey returns the key pair with the private half b.
func ParseSealKey(b []byte) (*SealKey, error) {
	k, err := hpke.MLKEM768X25519().NewPrivateKey(b)
	return &SealKey{k}, err
}

// Bytes returns the private half.
func (k *SealKey) Bytes() ([]byte, error) { return k.private.Bytes() }
