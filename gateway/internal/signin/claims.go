package signin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// protected are the claims that a workspace's own definitions never set: they
// are what a token is.
func protected() []string {
	return []string{
		"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "auth_time", "at_hash", "c_hash", "sid", "cnf", "act",
		"client_id", "scope", "scp", "tid", "aid", "idp", "idp_sub", "pool_id", "grant_id", "acr", "amr", "st", claimAsked,
	}
}

// customClaims are the workspace's claims of one type that the granted scopes
// release, read from the authentication context. Opaque ones are for those who
// ask the gateway, not for tokens.
func customClaims(space *live.Space, kind string, opaque bool, t grant.Terms) (token.Claims, error) {
	claims := token.Claims{}
	if len(t.Context) == 0 {
		return claims, nil
	}
	var known authctx.Context
	if err := json.Unmarshal(t.Context, &known); err != nil {
		return nil, fmt.Errorf("authentication context: %w", err)
	}
	asked := singly(t, opaque)
	for _, def := range space.Claims {
		if def.Type != kind || def.SourceType != "authnCtx" || (def.Opaque && !opaque) || (!released(def.Scopes, t.Scopes) && !asked(def)) {
			continue
		}
		if head, _, _ := strings.Cut(def.Name, "."); slices.Contains(protected(), head) {
			continue
		}
		if v, ok := known.Lookup(def.SourcePath); ok {
			place(claims, def.Name, v)
		}
	}
	return claims, nil
}

// released tells whether a claim's scopes let it out: none means always.
func released(of, granted []string) bool {
	return len(of) == 0 || slices.ContainsFunc(of, func(x string) bool { return slices.Contains(granted, x) })
}

// place sets a claim; a dotted name such as address.locality nests (OpenID
// Connect Core 1.0, section 5.1.1).
func place(claims map[string]any, name string, v any) {
	for {
		head, rest, nested := strings.Cut(name, ".")
		if !nested {
			claims[name] = v
			return
		}
		inner, ok := claims[head].(map[string]any)
		if !ok {
			inner = map[string]any{}
			claims[head] = inner
		}
		claims, name = inner, rest
	}
}
