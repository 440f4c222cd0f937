package client

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// maxRegistered is how many clients of one workspace may have registered
// themselves.
const maxRegistered = 10_000

// registrable are the members that a client may say of itself (RFC 7591, section
// 2; the published API, section 28). The others are the administrators': audience
// among them, for whom its tokens are.
var registrable = []string{
	"app_url", "application_type", "authorization_details_types", "backchannel_logout_session_required", "backchannel_logout_uri",
	"client_name", "client_uri", "default_acr_values", "description", "dpop_bound_access_tokens", "grant_types",
	"id_token_signed_response_alg", "introspection_endpoint_auth_method", "jwks", "jwks_uri", "logo_uri", "organisation_id",
	"policy_uri", "post_logout_redirect_uris", "redirect_uris", "request_object_signing_alg", "request_uris",
	"require_pushed_authorization_requests", "response_types", "revocation_endpoint_auth_method", "scope", "scopes",
	"sector_identifier_uri", "software_id", "software_version", "subject_type", "tls_client_auth_san_dns", "tls_client_auth_san_email",
	"tls_client_auth_san_ip", "tls_client_auth_san_uri", "tls_client_auth_subject_dn", "tls_client_certificate_bound_access_tokens",
	"token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "tos_uri", "userinfo_signed_response_alg",
}

// ReadRegistration reads what a client says of itself. Members that are not its to
// say are passed over. Errors are faults that name the member.
func ReadRegistration(body []byte) (Client, error) {
	own, err := record.Members(body, registrable)
	if err != nil {
		return Client{}, err
	}
	if own == nil {
		own = json.RawMessage("{}")
	}
	var c Client
	err = json.Unmarshal(own, &c)
	return c, err
}

// Registration is c as it is told to the client itself: what it said, and its
// credentials where they are set.
func (c *Client) Registration() (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	shown := append([]string{
		"client_id", "client_secret_expires_at", "client_id_issued_at", "client_status", "application_types", "created_at", "updated_at",
		"tenant_id", "authorization_server_id",
	}, registrable...)
	if c.ClientSecret != "" {
		shown = append(shown, "client_secret")
	}
	if raw, err = record.Members(raw, shown); err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	err = json.Unmarshal(raw, &all)
	return all, err
}

// registration is by what a client that registered itself manages itself (RFC
// 7592, section 3).
type registration struct {
	Hash       string `json:"hash"`                 // of the registration access token
	Ends       int64  `json:"ends,omitempty"`       // Unix milliseconds; 0: never
	Thumbprint string `json:"thumbprint,omitempty"` // of the certificate that must come with it
}

// Registering says how a registration is made.
type Registering struct {
	NoToken    bool          // it gets no token to manage itself by
	Life       time.Duration // of the token; 0: for ever
	Thumbprint string        // the token holds only together with this certificate
	// Admit is called when everything has been checked, before anything is
	// stored; its error ends the registration. Nil admits.
	Admit func(context.Context) error
}

// token returns a new registration access token and what is kept of it.
func (r *Registering) token(now time.Time) (string, *registration) {
	if r.NoToken {
		return "", nil
	}
	secret := vault.NewSecret()
	kept := &registration{Hash: vault.Hash(secret), Thumbprint: r.Thumbprint}
	if r.Life > 0 {
		kept.Ends = now.Add(r.Life).UnixMilli()
	}
	return secret, kept
}

// Register is Create for a client that registers itself. It is never trusted. It
// returns the client and its registration access token. Errors beside those of
// Create: Denied when the workspace has as many of them as it may have.
func (k *Clients) Register(ctx context.Context, c Client, how Registering) (Client, string, error) {
	c.ClientID, c.ClientSecret, c.RotatedSecrets, c.HashedSecret, c.ClientSecretExpiresAt = "", "", nil, "", 0
	c.Trusted, c.System, c.DeveloperID, c.DynamicallyRegistered = false, false, "", true
	most := k.config.MaxRegistered
	if most == 0 {
		most = maxRegistered
	}
	there, err := k.table.Count(ctx, c.TenantID, store.Query{Index: "registered", Equal: c.WorkspaceID})
	if err != nil {
		return Client{}, "", err
	}
	if there >= most {
		return Client{}, "", fault.New(fault.Denied, fmt.Sprintf("%d clients of this workspace have registered themselves, and more may not: an administrator must delete some.", most), nil)
	}
	token, kept := how.token(k.config.Now())
	made, err := k.create(ctx, c, how.Admit, kept)
	return made, token, err
}

// Registered returns the client that may manage itself by a registration access
// token. Whatever is wrong the error is one and the same: Unauthenticated (RFC
// 7592, section 2). An empty thumbprint is no certificate.
func (k *Clients) Registered(ctx context.Context, tenantID, id, token, thumbprint string) (Client, error) {
	none := func(cause error) (Client, error) {
		e := fault.New(fault.Unauthenticated, "The registration access token is missing, expired or not this client's.", cause)
		e.Code = "invalid_token"
		return Client{}, e
	}
	row, err := k.table.Get(ctx, tenantID, id)
	if err != nil {
		if err = record.Fault(err, thisClient); fault.Is(err, fault.NotFound) {
			return none(err)
		}
		return Client{}, err
	}
	r := row.Value.Registration
	switch {
	case r == nil || !row.Value.Value.DynamicallyRegistered:
		return none(nil)
	case subtle.ConstantTimeCompare([]byte(vault.Hash(token)), []byte(r.Hash)) != 1:
		return none(nil)
	case r.Ends != 0 && k.config.Now().UnixMilli() >= r.Ends:
		return none(fmt.Errorf("expired at %s", time.UnixMilli(r.Ends)))
	case r.Thumbprint != "" && r.Thumbprint != thumbprint:
		return none(fmt.Errorf("it is bound to the certificate %s", r.Thumbprint))
	}
	c, err := k.Get(ctx, tenantID, id)
	if fault.Is(err, fault.NotFound) {
		return none(err)
	}
	return c, err
}

// Reregister replaces what a client said of itself in old by c; what is the
// administrators' stays. Their trust was in what they saw: a client that changes
// where answers go, what it asks for or how it proves itself loses it. What
// binds its tokens and requests is never loosened. With fresh it gets a new registration access token in
// place of the old one, which is returned.
func (k *Clients) Reregister(ctx context.Context, c, old Client, fresh *Registering) (Client, string, error) {
	next := c
	next.ClientID, next.TenantID, next.WorkspaceID, next.Rev = old.ClientID, old.TenantID, old.WorkspaceID, old.Rev
	next.ClientStatus, next.ClientType, next.System = old.ClientStatus, old.ClientType, old.System
	next.Audience, next.Metadata, next.ApplicationTypes = old.Audience, old.Metadata, nil
	next.UseCustomTokenTTLs, next.TokenTTLs = old.UseCustomTokenTTLs, old.TokenTTLs
	next.ClientSecret, next.ClientSecretExpiresAt = "", old.ClientSecretExpiresAt
	next.DynamicallyRegistered = true // for the tags that follow from it
	next.Trusted = old.Trusted && next.seen().equal(old.seen())
	next.DPoPBoundAccessTokens = next.DPoPBoundAccessTokens || old.DPoPBoundAccessTokens
	next.RequirePAR = next.RequirePAR || old.RequirePAR
	next.CertificateBoundTokens = next.CertificateBoundTokens || old.CertificateBoundTokens
	var token string
	var kept *registration
	if fresh != nil {
		token, kept = fresh.token(k.config.Now())
	}
	made, err := k.update(ctx, next, func(r *clientRecord) {
		if kept != nil {
			r.Registration = kept
		}
	})
	return made, token, err
}

// seen is what an administrator trusts a client for.
type seen struct {
	lists [][]string // addresses, scopes and grant types, each sorted
	proof []string   // how it authenticates
	keys  string     // jwks without blanks
}

func (c *Client) seen() seen {
	full := *c
	full.fill()
	v := seen{proof: append([]string{full.TokenEndpointAuthMethod, full.ApplicationType, full.JWKSURI}, full.tlsSubject()...)}
	for _, l := range [][]string{full.RedirectURIs, full.PostLogoutRedirectURIs, full.Scopes, full.GrantTypes} {
		v.lists = append(v.lists, slices.Compact(slices.Sorted(slices.Values(l))))
	}
	var keys bytes.Buffer
	if len(full.JWKS) > 0 && json.Compact(&keys, full.JWKS) == nil {
		v.keys = keys.String()
	}
	return v
}

func (c *Client) tlsSubject() []string {
	return []string{c.TLSSubjectDN, c.TLSSANDNS, c.TLSSANEmail, c.TLSSANIP, c.TLSSANURI}
}

func (s seen) equal(o seen) bool {
	return s.keys == o.keys && slices.Equal(s.proof, o.proof) && slices.EqualFunc(s.lists, o.lists, slices.Equal[[]string])
}

func (r *clientRecord) byRegistration() (store.Key, bool) {
	return store.Key{Equal: r.Value.WorkspaceID, Order: r.Value.ClientID}, r.Value.DynamicallyRegistered
}
