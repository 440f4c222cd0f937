package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// ErrRefused is in the chain of every error about an address that may not be
// called. Callers compare with errors.Is.
var ErrRefused = errors.New("the address may not be called")

// Guard decides which addresses may be dialled. Its zero value allows public
// unicast addresses alone. It is not changed after its first use and is then
// safe for concurrent use.
type Guard struct {
	// Allow grants networks that are otherwise refused. Addresses at which clouds
	// hand out credentials need a grant of exactly that address; unspecified ones
	// (0.0.0.0, ::) are never granted.
	Allow []netip.Prefix
	// Own are listeners of this process that nobody may reach through it, whatever
	// Allow says. An unspecified address means that port on every local address.
	Own []netip.AddrPort
	// Resolver looks names up; nil means the system's.
	Resolver *net.Resolver
}

// Control is for net.Dialer.Control, which calls it after the name was resolved
// and before the socket connects. The error is a fault.Denied with ErrRefused.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	switch network {
	case "tcp4", "tcp6", "udp4", "udp6":
	default:
		return refuse(address, "network "+network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse(address, "not an address")
	}
	return g.Check(to)
}

// Check tells whether an address may be called: nil, or a fault.Denied with
// ErrRefused that names the address and its kind in the cause only.
func (g *Guard) Check(to netip.AddrPort) error {
	addr := to.Addr().Unmap().WithZone("")
	if addr.IsUnspecified() {
		return refuse(to.String(), "unspecified: systems connect it to this machine")
	}
	if g.own(addr, to.Port()) {
		return refuse(to.String(), "this gateway's own listener")
	}
	for _, m := range metadata {
		if addr == m {
			if g.granted(addr, true) {
				return nil
			}
			return refuse(to.String(), "cloud metadata")
		}
	}
	if g.granted(addr, false) {
		return nil
	}
	for _, d := range denied {
		if d.prefix.Contains(addr) {
			return refuse(to.String(), d.why)
		}
	}
	if !addr.IsGlobalUnicast() {
		return refuse(to.String(), "not a unicast address")
	}
	return nil
}

// granted tells whether Allow holds addr; exactly means by a prefix that holds
// nothing else.
func (g *Guard) granted(addr netip.Addr, exactly bool) bool {
	for _, p := range g.Allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Contains(addr) && (!exactly || p.IsSingleIP()) {
			return true
		}
	}
	return false
}

func (g *Guard) own(addr netip.Addr, port uint16) bool {
	for _, o := range g.Own {
		if o.Port() != port {
			continue
		}
		if o.Addr().Unmap() == addr || o.Addr().IsUnspecified() && local(addr) {
			return true
		}
	}
	return false
}

// local tells whether addr is of this machine. It asks the system each time:
// interfaces come and go. When the system does not say, every address counts.
func local(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

func refuse(address, why string) error {
	return fault.New(fault.Denied, "This address may not be called from here.", fmt.Errorf("%s: %s: %w", address, why, ErrRefused))
}

// metadata are addresses at which a cloud tells a machine its credentials. Some
// lie inside networks that are granted for other reasons.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // most clouds
	netip.MustParseAddr("169.254.170.2"),   // Amazon ECS tasks
	netip.MustParseAddr("169.254.170.23"),  // Amazon EKS pods
	netip.MustParseAddr("fd00:ec2::254"),   // Amazon EC2
	netip.MustParseAddr("fd00:ec2::23"),    // Amazon EKS pods
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("168.63.129.16"),   // Azure: a public address
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

type network struct {
	prefix netip.Prefix
	why    string
}

// denied is what the IANA special-purpose registries (RFC 6890, 2.2) call not
// globally reachable, and every IPv6 form that carries an IPv4 address inside: a
// translator on the way would turn it into that address.
var denied = []network{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network (RFC 791)"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private (RFC 1918)"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT (RFC 6598)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (RFC 3927)"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private (RFC 1918)"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments (RFC 6890)"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays (RFC 7526)"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private (RFC 1918)"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarks (RFC 2544)"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved (RFC 1112)"},
	{netip.MustParsePrefix("::/96"), "unspecified, loopback or IPv4-compatible (RFC 4291)"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated (RFC 2765)"},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64 (RFC 6052)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64 (RFC 8215)"},
	{netip.MustParsePrefix("100::/64"), "discard (RFC 6666)"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy (RFC 9780)"},
	{netip.MustParsePrefix("2001::/23"), "protocol assignments and Teredo (RFC 2928, RFC 4380)"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation (RFC 3849)"},
	{netip.MustParsePrefix("2002::/16"), "6to4 (RFC 3056)"},
	{netip.MustParsePrefix("3fff::/20"), "documentation (RFC 9637)"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing (RFC 9602)"},
	{netip.MustParsePrefix("fc00::/7"), "unique local (RFC 4193)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local (RFC 4291)"},
	{netip.MustParsePrefix("fec0::/10"), "site-local (RFC 3879)"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}
