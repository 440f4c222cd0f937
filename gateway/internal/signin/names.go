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
	sum := sha256.Sum256([]byte(tenant + "/" + workspace))
	return n.prefix() + hex.EncodeToString(sum[:4])
}

// Login names the cookie of one running login.
func (n Names) Login(id string) string { return n.prefix() + "login-" + short(id) }

// Flow names the cookie of one running visit from an app host to the sign-in.
func (n Names) Flow(id string) string { return n.prefix() + "flow-" + short(id) }

// Bounced names the cookie that counts quick returns from the sign-in.
func (n Names) Bounced() string { return n.prefix() + "bounced" }

func short(id string) string { return id[:min(8, len(id))] }

// IsLogin and IsFlow tell what a cookie's name stands for.
func (n Names) IsLogin(name string) bool { return strings.HasPrefix(name, n.prefix()+"login-") }

// IsFlow tells whether name is that of a flow cookie.
func (n Names) IsFlow(name string) bool { return strings.HasPrefix(name, n.prefix()+"flow-") }
