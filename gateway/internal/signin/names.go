package signin

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Names are the names of Gatepost's cookies. On https they carry the __Host-
// prefix (RFC 6265bis, section 4.1.3.2): no other host can set or shadow them.
type Names struct{ Secure bool }

const hostPrefix = "__Host-"

func (n Names) prefix() string {
	if n.Secure {
		return hostPrefix + "gp-"
	}
	return "gp-"
}

// Session names the session cookie of a workspace, on the base host and on its
// app hosts alike.
func (n Names) Session(tenant, workspace string) string {
	return n.prefix() + digest(tenant+"/"+workspace)
}

// Login names the cookie of one running login.
func (n Names) Login(id string) string { return n.prefix() + "login-" + short(id) }

// Flow names the cookie of one running visit from an app host to the sign-in.
func (n Names) Flow(id string) string { return n.prefix() + "flow-" + short(id) }

// Bounced names the cookie that counts quick returns from the sign-in.
func (n Names) Bounced() string { return n.prefix() + "bounced" }

// Device names the cookie by which a tenant's pools know a browser again.
func (n Names) Device(tenant string) string { return n.prefix() + "device-" + digest(tenant) }

// MFA names the cookie of a browser that has passed a second factor of a pool.
func (n Names) MFA(tenant, pool string) string { return n.prefix() + "mfa-" + digest(tenant+"/"+pool) }

// Method names the cookie that remembers how a browser's person signs in.
func (n Names) Method(tenant, pool string) string {
	return n.prefix() + "method-" + digest(tenant+"/"+pool)
}

func digest(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:4])
}

func short(id string) string { return id[:min(8, len(id))] }

// IsLogin and IsFlow tell what a cookie's name stands for.
func (n Names) IsLogin(name string) bool { return strings.HasPrefix(name, n.prefix()+"login-") }

// IsFlow tells whether name is that of a flow cookie.
func (n Names) IsFlow(name string) bool { return strings.HasPrefix(name, n.prefix()+"flow-") }
