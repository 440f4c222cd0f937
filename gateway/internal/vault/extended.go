package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

const (
	extendedNonce = 24
	gcmNonce      = 12
	tagSize       = 16
)

// extended is AES-256-GCM with a 192-bit nonce (C2SP XAES-256-GCM): the first
// half of the nonce derives the key of one message, the second is that message's
// GCM nonce. Random nonces are then safe for more messages than a gateway can
// seal in its life; plain GCM allows 2^32 under one key (NIST SP 800-38D, 8.3),
// which strangers who only open the sign-in page could use up.
type extended struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // the CMAC subkey of NIST SP 800-38B
}

func newExtended(key []byte) (*extended, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	x := &extended{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	msb := x.k1[0] >> 7
	for i := range x.k1 {
		next := byte(0)
		if i+1 < len(x.k1) {
			next = x.k1[i+1] >> 7
		}
		x.k1[i] = x.k1[i]<<1 | next
	}
	x.k1[len(x.k1)-1] ^= msb * 0b10000111
	return x, nil
}

// aead returns the AES-256-GCM of one message. It takes the last gcmNonce bytes
// of nonce as its own.
func (x *extended) aead(nonce []byte) (cipher.AEAD, error) {
	key := make([]byte, 0, 2*aes.BlockSize)
	for counter := byte(1); counter <= 2; counter++ {
		block := [aes.BlockSize]byte{0, counter, 'X', 0}
		copy(block[4:], nonce[:extendedNonce-gcmNonce])
		for i := range block {
			block[i] ^= x.k1[i]
		}
		x.block.Encrypt(block[:], block[:])
		key = append(key, block[:]...)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("message key: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("message key: %w", err)
	}
	return gcm, nil
}
