package store

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that reads and writes as a Go duration string
// such as "1h0m0s"; zero is "0s".
type Duration time.Duration

// MarshalText writes the duration as a Go duration string.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a Go duration string; the empty string is zero.
func (d *Duration) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 1h0m0s", b)
	}
	*d = Duration(v)
	return nil
}
