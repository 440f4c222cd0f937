package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Path names a file or directory.
type Path string

// Secret is text that must not appear in logs. It prints as dots.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "•••"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Size is a number of bytes. As text it may carry a unit: 32KiB, 1MiB, 2GiB.
type Size int64

// UnmarshalText reads a number of bytes with or without a unit. -1, where it is
// allowed, means no limit.
func (s *Size) UnmarshalText(b []byte) error {
	text, unit := string(b), int64(1)
	for _, u := range []struct {
		name string
		size int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = strings.TrimSpace(number), u.size
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return fmt.Errorf("%q is not a size such as 32KiB, 1MiB or a number of bytes", b)
	}
	*s = Size(n * unit)
	return nil
}

// Network is a range of addresses.
type Network netip.Prefix

// UnmarshalText reads a CIDR such as 10.0.0.0/8, or one address.
func (n *Network) UnmarshalText(b []byte) error {
	if a, err := netip.ParseAddr(string(b)); err == nil && a.Zone() == "" {
		*n = Network(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	p, err := netip.ParsePrefix(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a network such as 10.0.0.0/8 or an address", b)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits set after its length: the network is %s", b, p.Masked())
	}
	*n = Network(p)
	return nil
}

// MarshalText writes the CIDR.
func (n Network) MarshalText() ([]byte, error) { return netip.Prefix(n).MarshalText() }

// Prefixes returns networks as the standard library's type.
func Prefixes(ns []Network) []netip.Prefix {
	out := make([]netip.Prefix, len(ns))
	for i, n := range ns {
		out[i] = netip.Prefix(n)
	}
	return out
}
