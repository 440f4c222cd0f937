package flag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// The names of the flags that this program declares.
const (
	CustomApps                = "custom_apps"
	Plugins                   = "plugins"
	WebAuthn                  = "webauthn"
	ScriptExtensions          = "script_extensions"
	IdentityPoolsRegistration = "identity_pools_self_registration"
	DynamicClientRegistration = "dynamic_client_registration"
	TokenExchange             = "token_exchange"
	DPoP                      = "dpop"
	ClientSecretsOneWay       = "client_secrets_stored_as_one_way_hash"
)

// The stages of a flag.
const (
	Experimental = "experimental" // may change or go
	Beta         = "beta"         // complete, not yet relied on by many
	Stable       = "stable"       // here to switch something off, not to try it
)

// Declaration describes one flag.
type Declaration struct {
	Name        string
	Title       string // for people
	Description string // one sentence: what is possible with it on
	Stage       string // Experimental, Beta or Stable
	Owner       string // the part of the program that reads it
	Default     bool   // in a tenant that has no value, unless the configuration says otherwise
	Beta        bool   // a tenant's own administrators may set it
	Requires    []string
}

// Known returns the flags that this program declares. The caller may change the
// result.
func Known() []Declaration {
	return []Declaration{
		{
			Name: CustomApps, Title: "Custom apps", Stage: Beta, Owner: "postauth", Beta: true,
			Description: "A sign-in may pass through post-authentication apps before tokens are issued.",
		},
		{
			Name: Plugins, Title: "Plugins", Stage: Beta, Owner: "pluginhost",
			Description: "Plugins that the operator installed may be chosen and run for this tenant.",
		},
		{
			Name: WebAuthn, Title: "Passkeys", Stage: Stable, Owner: "pool", Default: true, Beta: true,
			Description: "Users may register passkeys and sign in with them.",
		},
		{
			Name: ScriptExtensions, Title: "Scripts", Stage: Stable, Owner: "script", Default: true, Beta: true,
			Description: "Scripts bound to execution points run during sign-in and token minting.",
		},
		{
			Name: IdentityPoolsRegistration, Title: "Self-registration", Stage: Stable, Owner: "pool", Default: true, Beta: true,
			Description: "Pools whose rules allow it let people register themselves.",
		},
		{
			Name: DynamicClientRegistration, Title: "Dynamic client registration", Stage: Stable, Owner: "openid", Default: true, Beta: true,
			Description: "Workspaces whose rules allow it let clients register themselves (RFC 7591).",
		},
		{
			Name: TokenExchange, Title: "Token exchange", Stage: Stable, Owner: "openid", Default: true, Beta: true,
			Description: "Clients that have the grant may exchange tokens (RFC 8693).",
		},
		{
			Name: DPoP, Title: "DPoP", Stage: Stable, Owner: "openid", Default: true, Beta: true,
			Description: "Clients may bind their tokens to a key of their own (RFC 9449).",
		},
		{
			Name: ClientSecretsOneWay, Title: "Client secrets as hashes", Stage: Stable, Owner: "client", Beta: true,
			Description: "Of client secrets only hashes are kept: they are shown once, and client_secret_jwt does not work; switching it on is for good for those there are.",
		},
	}
}

// registry is the declared flags in order.
type registry struct {
	list   []Declaration
	byName map[string]Declaration
}

// newRegistry checks declarations and the configuration's defaults. A flag may
// require only flags declared before it, so that no two wait for each other.
func newRegistry(list []Declaration, defaults map[string]bool) (registry, error) {
	r := registry{byName: map[string]Declaration{}}
	for _, d := range list {
		if _, twice := r.byName[d.Name]; twice || d.Name == "" {
			return r, fmt.Errorf("flag %q is declared twice or has no name", d.Name)
		}
		for _, need := range d.Requires {
			if _, ok := r.byName[need]; !ok {
				return r, fmt.Errorf("flag %s requires %s, which is not declared before it", d.Name, need)
			}
		}
		if on, ok := defaults[d.Name]; ok {
			d.Default = on
		}
		d.Requires = slices.Clone(d.Requires)
		r.byName[d.Name] = d
		r.list = append(r.list, d)
	}
	for name := range defaults {
		if _, err := r.find(name); err != nil {
			return r, err
		}
	}
	return r, nil
}

// find returns a declaration, or a fault.NotFound that names all there are.
func (r registry) find(name string) (Declaration, error) {
	d, ok := r.byName[name]
	if ok {
		return d, nil
	}
	names := make([]string, len(r.list))
	for i, d := range r.list {
		names[i] = d.Name
	}
	return d, fault.At(fault.NotFound, "flag", fmt.Sprintf("There is no flag %.64q; known are %s.", name, strings.Join(names, ", ")))
}

// effective returns every flag's value under a tenant's own settings: on needs
// all that it requires on as well.
func (r registry) effective(own map[string]setting) map[string]bool {
	values := make(map[string]bool, len(r.list))
	for _, d := range r.list {
		on := d.Default
		if s, ok := own[d.Name]; ok {
			on = s.On
		}
		for _, need := range d.Requires {
			on = on && values[need]
		}
		values[d.Name] = on
	}
	return values
}

// allowed tells whether a flag may be given a value beside a tenant's others.
func (r registry) allowed(d Declaration, value bool, values map[string]bool) error {
	if value {
		for _, need := range d.Requires {
			if !values[need] {
				return fault.At(fault.Unprocessable, "value", fmt.Sprintf("Flag %s requires %s, which is off: switch that on first.", d.Name, need))
			}
		}
		return nil
	}
	for _, other := range r.list {
		if values[other.Name] && slices.Contains(other.Requires, d.Name) {
			return fault.At(fault.Unprocessable, "value", fmt.Sprintf("Flag %s is required by %s, which is on: switch that off first.", d.Name, other.Name))
		}
	}
	return nil
}
