package signin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// customClaims are the workspace's claims of one type that the granted scopes
// release, read from the authentication context or from the client. Opaque ones
// are for those who ask the gateway, not for tokens.
func customClaims(space *live.Space, c *client.Client, kind string, opaque bool, t grant.Terms) (token.Claims, error) {
	claims := token.Claims{}
	read, err := sources(c, t)
	if err != nil {
		return nil, err
	}
	asked := singly(t, opaque)
	for _, def := range space.Claims {
		if def.Type != kind || (def.Opaque && !opaque) || (!released(def.Scopes, t.Scopes) && !asked(def)) {
			continue
		}
		if client.Protected(def.Name) { // stored before that name was
			continue
		}
		lookup, ok := read[def.SourceType]
		if !ok {
			continue
		}
		if v, ok := lookup(def.SourcePath); ok {
			place(claims, def.Name, v)
		}
	}
	return claims, nil
}

// sources are where claims may be read from, by the name of the source.
func sources(c *client.Client, t grant.Terms) (map[string]func(path string) (any, bool), error) {
	read := map[string]func(string) (any, bool){
		client.SourceClient: func(path string) (any, bool) { return attribute(c, path) },
	}
	if len(t.Context) == 0 {
		return read, nil
	}
	var known authctx.Context
	if err := json.Unmarshal(t.Context, &known); err != nil {
		return nil, fmt.Errorf("authentication context: %w", err)
	}
	read[client.SourceContext] = known.Lookup
	return read, nil
}

// attribute reads a dotted path in a client as the API shows it, without its
// secrets. Empty texts count as absent.
func attribute(c *client.Client, path string) (any, bool) {
	raw, err := json.Marshal(c.Bare())
	var v any
	if err != nil || json.Unmarshal(raw, &v) != nil {
		return nil, false
	}
	for name := range strings.SplitSeq(path, ".") {
		members, _ := v.(map[string]any)
		v = members[name]
	}
	return v, v != nil && v != ""
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
