package pool

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// The shape of recovery codes: ten characters of base32 are 50 bits, far more
// than what can be guessed through CheckTOTP's limits.
const (
	recoveryCodes = 10
	recoveryChars = 10
)

// NewRecoveryCodes gives a user ten recovery codes, such as "mfzwi-3dpo5", in the
// place of former ones. They are shown this once: the store has only their MACs.
func (k *Users) NewRecoveryCodes(ctx context.Context, tenant, pool, user string) ([]string, error) {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		raw := make([]byte, 10)
		_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
		code := strings.ToLower(base32.StdEncoding.EncodeToString(raw))[:recoveryChars]
		codes[i] = code[:recoveryChars/2] + "-" + code[recoveryChars/2:]
	}
	_, err := k.change(ctx, tenant, pool, user, writing{details: "recovery codes made"}, func(_ *Pool, u *User, now time.Time) error {
		c := u.credential(typeRecovery, now)
		c.Codes, c.UpdatedAt = make([]string, len(codes)), now
		for i, code := range codes {
			mac := k.config.Ring.MAC(recoveryMAC, u.recoveryParts(code)...)
			c.Codes[i] = base64.RawStdEncoding.EncodeToString(mac)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// RecoveryCodes returns how many recovery codes the user has left.
func (u *User) RecoveryCodes() int {
	if c := u.Credential(typeRecovery); c != nil {
		return len(c.Codes)
	}
	return 0
}

// UseRecoveryCode tells whether code is one of the user's recovery codes, however
// its letters and hyphens are typed, and uses it up: of several at once with the
// same code one gets true. Otherwise as CheckTOTP.
func (k *Users) UseRecoveryCode(ctx context.Context, tenant, pool, user, code string) (bool, error) {
	return k.second(ctx, tenant, pool, user, "recovery_code", func(u *User) error {
		c := u.Credential(typeRecovery)
		if c == nil {
			return errPassed
		}
		parts := u.recoveryParts(code)
		for i, kept := range c.Codes {
			mac, err := base64.RawStdEncoding.DecodeString(kept)
			if err == nil && k.config.Ring.CheckMAC(mac, recoveryMAC, parts...) {
				c.Codes = slices.Delete(c.Codes, i, i+1)
				return nil
			}
		}
		return errPassed
	})
}

const recoveryMAC = "recovery code"

// recoveryParts bind a code to one life of the user. Base32 has no zero and no
// eight: they mean the letters they look like.
func (u *User) recoveryParts(code string) []string {
	code = strings.NewReplacer("-", "", " ", "", "0", "o", "8", "b").Replace(strings.ToLower(code))
	return []string{u.TenantID, u.PoolEpoch, u.ID, u.Epoch, code}
}
