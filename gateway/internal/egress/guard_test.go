package egress_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/fault"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestDefaultRefuses(t *testing.T) {
	t.Parallel()
	var g egress.Guard
	for name, addrs := range map[string]string{
		"unspecified":     "0.0.0.0 :: 0.1.2.3",
		"loopback":        "127.0.0.1 127.255.255.254 ::1",
		"private":         "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1",
		"link-local":      "169.254.1.1 fe80::1 fe80::1%eth0 febf::1",
		"cgnat":           "100.64.0.1 100.127.255.255",
		"ula":             "fc00::1 fdff::1",
		"site-local":      "fec0::1",
		"mapped":          "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0",
		"translated":      "::ffff:0:127.0.0.1",
		"v4-compatible":   "::127.0.0.1 ::10.0.0.1",
		"nat64":           "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1",
		"6to4":            "2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1 192.88.99.1",
		"teredo":          "2001::1 2001:0:7f00:1::",
		"multicast":       "224.0.0.1 239.255.255.250 ff02::1",
		"broadcast":       "255.255.255.255 240.0.0.1",
		"documentation":   "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1",
		"benchmarks":      "198.18.0.1 198.19.255.255",
		"protocol":        "192.0.0.1 192.0.0.170",
		"discard":         "100::1",
		"segment routing": "5f00::1",
		"metadata":        "169.254.169.254 169.254.170.2 fd00:ec2::254 100.100.100.200 168.63.129.16 192.0.0.192",
	} {
		for a := range strings.FieldsSeq(addrs) {
			to := netip.AddrPortFrom(netip.MustParseAddr(a), 443)
			err := g.Check(to)
			if !errors.Is(err, egress.ErrRefused) || !fault.Is(err, fault.Denied) {
				t.Errorf("%s: Check(%s) = %v, want ErrRefused as fault.Denied", name, a, err)
				continue
			}
			if strings.Contains(fault.Read(err).Public, a) {
				t.Errorf("%s: the public sentence shows the address: what a name resolves to inside is nobody's business", name)
			}
			if err := g.Control("tcp", to.String(), nil); err == nil {
				t.Errorf("%s: Control(%s) let it pass", name, a)
			}
		}
	}
}

func TestDefaultAllows(t *testing.T) {
	t.Parallel()
	var g egress.Guard
	for a := range strings.FieldsSeq("1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.167.1.1 11.0.0.1 128.0.0.1 223.255.255.254 ::ffff:8.8.8.8 2606:4700::1111 2001:4860:4860::8888 2a00::1") {
		addr := netip.MustParseAddr(a)
		network := "tcp6"
		if addr.Is4() {
			network = "tcp4"
		}
		if err := g.Control(network, netip.AddrPortFrom(addr, 443).String(), nil); err != nil {
			t.Errorf("Control(%s) = %v, want nil", a, err)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		allow []netip.Prefix
		addr  string
		ok    bool
	}{
		{"granted", prefixes("10.1.0.0/16"), "10.1.2.3", true},
		{"beside it", prefixes("10.1.0.0/16"), "10.2.0.1", false},
		{"granted, dialled as mapped", prefixes("10.1.0.0/16"), "::ffff:10.1.2.3", true},
		{"granted as mapped", prefixes("::ffff:10.1.0.0/112"), "10.1.2.3", true},
		{"a grant of all IPv6 opens no IPv4", prefixes("::/0"), "10.1.2.3", false},
		{"zone", prefixes("fe80::/10"), "fe80::1%lo", true},
		{"all IPv4", prefixes("0.0.0.0/0"), "127.0.0.1", true},
		{"metadata is not in a wide grant", prefixes("0.0.0.0/0", "169.254.0.0/16"), "169.254.169.254", false},
		{"metadata granted by name", prefixes("169.254.169.254/32"), "169.254.169.254", true},
		{"public metadata address", prefixes("168.63.0.0/16"), "168.63.129.16", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := egress.Guard{Allow: c.allow}
			if err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(c.addr), 80)); (err == nil) != c.ok {
				t.Errorf("Check(%s) = %v, want ok %v", c.addr, err, c.ok)
			}
		})
	}
}

func TestOwnListeners(t *testing.T) {
	t.Parallel()
	all := prefixes("0.0.0.0/0", "::/0")
	g := egress.Guard{Allow: all, Own: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9090"), netip.MustParseAddrPort("[::]:8080")}}
	cases := map[string]bool{
		"127.0.0.1:9090":          false,
		"[::ffff:127.0.0.1]:9090": false,
		"127.0.0.1:9091":          true,
		"127.0.0.2:9090":          true,
		"127.0.0.2:8080":          false,
		"[::1]:8080":              false,
		"0.0.0.0:8080":            false,
		"8.8.8.8:8080":            true,
	}
	ifaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range ifaces {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			cases[netip.AddrPortFrom(p.Addr(), 8080).String()] = false
		}
	}
	for to, ok := range cases {
		if err := g.Check(netip.MustParseAddrPort(to)); (err == nil) != ok {
			t.Errorf("Check(%s) = %v, want ok %v", to, err, ok)
		}
	}
}

// Linux connects an unspecified address to this machine, where it would lead
// around Own: no grant opens it.
func TestUnspecifiedIsNeverAllowed(t *testing.T) {
	t.Parallel()
	g := egress.Guard{
		Allow: prefixes("0.0.0.0/0", "::/0", "0.0.0.0/32", "::/128"), Own: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9090")},
	}
	for _, to := range []string{"0.0.0.0:9090", "[::]:9090", "[::ffff:0.0.0.0]:9090", "[::%lo]:9090", "0.0.0.0:80", "[::]:80"} {
		if err := g.Check(netip.MustParseAddrPort(to)); !errors.Is(err, egress.ErrRefused) {
			t.Errorf("Check(%s) = %v, want ErrRefused", to, err)
		}
		if err := g.Control("tcp6", to, nil); !errors.Is(err, egress.ErrRefused) {
			t.Errorf("Control(%s) = %v, want ErrRefused", to, err)
		}
	}
}

func TestControlRefusesOtherNetworks(t *testing.T) {
	t.Parallel()
	g := egress.Guard{Allow: prefixes("0.0.0.0/0")}
	for network, address := range map[string]string{
		"unix": "/run/docker.sock",
		"ip4":  "8.8.8.8",
		"tcp4": "localhost:80",
		"udp4": "",
	} {
		if err := g.Control(network, address, nil); !errors.Is(err, egress.ErrRefused) {
			t.Errorf("Control(%s, %q) = %v, want ErrRefused", network, address, err)
		}
	}
}

func BenchmarkControl(b *testing.B) {
	g := egress.Guard{Allow: prefixes("10.1.0.0/16")}
	for b.Loop() {
		if err := g.Control("tcp4", "93.184.216.34:443", nil); err != nil {
			b.Fatal(err)
		}
	}
}
