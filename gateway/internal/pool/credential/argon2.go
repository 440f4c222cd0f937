package credential

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The parameters of new hashes: OWASP's first recommendation for argon2id, as
// small as it may be, because a gate decides how many run at once.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32
)

// What a stored hash may ask for at most. Hashes come in by import too, and one
// must not take the memory of the machine.
const (
	argonMaxMemory = 256 << 10 // KiB
	argonMaxTime   = 16
	argonMaxLanes  = 16
	argonMaxWork   = 1 << 20 // memory times passes
)

// dummyArgon2 was made of random bytes.
const dummyArgon2 = "$argon2id$v=19$m=19456,t=2,p=1$GxgUkOGpxTH2q9yfMXec/Q$k9kWt3nxWzMvxxGJ0ANUk+TDKPNgK5chaEznUwNnKRg"

type argonHash struct {
	variant      string // "argon2id" or "argon2i"
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

func isArgon2(stored string) bool { return strings.HasPrefix(stored, "$argon2") }

func makeArgon2(password string) (string, error) {
	salt := random(argonSalt)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

func readArgon2(stored string) (match, error) {
	h, err := parseArgon2(stored)
	if err != nil {
		return nil, err
	}
	derive := argon2.IDKey
	if h.variant == "argon2i" {
		derive = argon2.Key
	}
	return func(password string) bool {
		got := derive([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key)))
		return subtle.ConstantTimeCompare(got, h.key) == 1
	}, nil
}

func currentArgon2(stored string) bool {
	h, err := parseArgon2(stored)
	return err == nil && h.variant == "argon2id" && h.memory == argonMemory && h.time == argonTime &&
		h.lanes == argonLanes && len(h.salt) >= argonSalt && len(h.key) == argonKey
}

// parseArgon2 reads the PHC string format, "$argon2id$v=19$m=,t=,p=$salt$key".
func parseArgon2(stored string) (argonHash, error) {
	parts, ok := fields(stored, 5)
	if !ok || parts[1] != "v="+strconv.Itoa(argon2.Version) {
		return argonHash{}, ErrMalformed
	}
	h := argonHash{variant: parts[0]}
	var lanes uint32
	if _, err := fmt.Sscanf(parts[2], "m=%d,t=%d,p=%d", &h.memory, &h.time, &lanes); err != nil {
		return argonHash{}, ErrMalformed
	}
	if parts[2] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, lanes) {
		return argonHash{}, ErrMalformed // trailing parameters such as data=
	}
	h.lanes = uint8(lanes)
	var errs [2]error
	h.salt, errs[0] = base64.RawStdEncoding.Strict().DecodeString(parts[3])
	h.key, errs[1] = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if errs[0] != nil || errs[1] != nil || lanes > 255 || !h.sound() {
		return argonHash{}, ErrMalformed
	}
	if !h.affordable() {
		return argonHash{}, ErrCost
	}
	return h, nil
}

// sound checks the limits of RFC 9106, 3.1; shorter salts and keys than ours are
// others' choice.
func (h argonHash) sound() bool {
	return (h.variant == "argon2id" || h.variant == "argon2i") &&
		h.time >= 1 && h.lanes >= 1 && h.memory >= 8*uint32(h.lanes) &&
		len(h.salt) >= 8 && len(h.salt) <= maxSalt && len(h.key) >= minKey && len(h.key) <= maxKey
}

func (h argonHash) affordable() bool {
	return h.time <= argonMaxTime && h.lanes <= argonMaxLanes && h.memory <= argonMaxMemory &&
		uint64(h.memory)*uint64(h.time) <= argonMaxWork
}
