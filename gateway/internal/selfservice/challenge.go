package selfservice

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// challengeLife is how long a WebAuthn ceremony may take.
const challengeLife = 5 * time.Minute

// spent is the record of a challenge that was answered.
type spent struct {
	Until time.Time `json:"until"`
}

// Challenge returns a WebAuthn challenge for one purpose and place, such as a
// login: 16 random bytes, the second in which it ends, and a MAC over both and
// the parts. Nothing is stored, so that strangers cannot fill the store by
// loading pages (Web Authentication Level 3, section 13.4.3).
func (s *Service) Challenge(tenant, purpose string, parts ...string) []byte {
	c := make([]byte, 24, 56)
	_, _ = rand.Read(c[:16]) // never fails: crypto/rand ends the process instead
	binary.BigEndian.PutUint64(c[16:], uint64(s.Now().Add(challengeLife).Unix()))
	return append(c, s.challengeMAC(c, tenant, purpose, parts)...)
}

func (s *Service) challengeMAC(c []byte, tenant, purpose string, parts []string) []byte {
	return s.Ring.MAC("webauthn challenge", append([]string{string(c), tenant, purpose}, parts...)...)
}

// errChallenge is the one refusal of a challenge.
func errChallenge() error {
	return fault.New(fault.Unauthenticated, "This took too long, or was done already. Please try again.", nil)
}

// given tells until when a challenge that came back can be answered, or refuses
// it: it must be ours, for this purpose and these parts, and young enough. It
// writes nothing, so that rubbish costs no write.
func (s *Service) given(challenge []byte, tenant, purpose string, parts ...string) (time.Time, error) {
	if len(challenge) < 24 {
		return time.Time{}, errChallenge()
	}
	own := append([]string{string(challenge[:24]), tenant, purpose}, parts...)
	ends := time.Unix(int64(binary.BigEndian.Uint64(challenge[16:24])), 0)
	if !s.Ring.CheckMAC(challenge[24:], "webauthn challenge", own...) || !s.Now().Before(ends) {
		return time.Time{}, errChallenge()
	}
	return ends, nil
}

// Spend takes a challenge that came back: it must be ours, for this purpose and
// these parts, young enough, and not answered before. Of several answers to one
// challenge exactly one gets nil, the others fault.Unauthenticated. It is called
// last, when the answer was found right.
func (s *Service) Spend(ctx context.Context, challenge []byte, tenant, purpose string, parts ...string) error {
	ends, err := s.given(challenge, tenant, purpose, parts...)
	if err != nil {
		return err
	}
	id := base64.RawURLEncoding.EncodeToString(challenge[:16])
	_, err = s.spent.Create(ctx, tenant, id, spent{Until: ends})
	if errors.Is(err, store.ErrExists) {
		return errChallenge()
	}
	return err
}
