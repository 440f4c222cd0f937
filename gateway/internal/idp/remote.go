package idp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const (
	finishTime   = 20 * time.Second // all calls of one Finish
	flowLife     = time.Hour        // from Begin to Finish
	skew         = 60 * time.Second // between a provider's clock and ours
	maxProviders = 10_000           // whose metadata and keys are kept
	maxHint      = 500
)

// RemoteConfig joins what a Remote needs. HTTP and Ring are required.
type RemoteConfig struct {
	HTTP *http.Client // guards where it connects to: the egress client
	Ring *vault.Ring
	Now  func() time.Time // nil: time.Now
}

// Remote signs people in at the OpenID providers of oidc IDPs. It begins without
// any of them: each is asked when somebody needs it. Safe for concurrent use.
type Remote struct {
	config    RemoteConfig
	providers *otter.Cache[providerKey, *provider]
}

// providerKey: tenants share nothing, not even what a provider announces.
type providerKey struct{ tenant, issuer string }

// NewRemote returns a Remote that knows no provider yet.
func NewRemote(c RemoteConfig) (*Remote, error) {
	if c.HTTP == nil || c.Ring == nil {
		return nil, errors.New("idp: an HTTP client and a key ring are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	cache, err := otter.New(&otter.Options[providerKey, *provider]{MaximumSize: maxProviders})
	if err != nil {
		return nil, fmt.Errorf("cache of OpenID providers: %w", err)
	}
	return &Remote{config: c, providers: cache}, nil
}

func (r *Remote) provider(p *IDP) *provider {
	key := providerKey{p.TenantID, p.IssuerURL()}
	v, _ := r.providers.ComputeIfAbsent(key, func() (*provider, bool) {
		return newProvider(key.issuer, r.config.HTTP, r.config.Now), false
	})
	return v
}

// Beginning is what a sign-in at a provider begins with.
type Beginning struct {
	RedirectURI string // {issuer}/callback of the workspace, registered at the provider
	Login       string // names the login in the state: LoginOf reads it there; may be empty
	LoginHint   string // sent only when the IDP's settings say so
	Prompt      string // none, login, select_account ...; empty: the provider's choice
	MaxAge      *int   // seconds; the ID token must prove it
	ACRValues   []string
	UILocales   []string
}

// flow is what Finish must find again. It is sealed for the one IDP: whoever
// keeps it, be it a browser, can neither read nor exchange it.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier,omitempty"` // RFC 7636
	Issuer   string    `json:"issuer"`
	Redirect string    `json:"redirect"`
	MaxAge   *int      `json:"max_age,omitempty"`
	Begun    time.Time `json:"begun"`
}

func flowAAD(p *IDP) string {
	return vault.AAD(p.TenantID, "idp_flows", store.ID(p.WorkspaceID, p.ID, p.Epoch), "flow")
}

// Begin returns the address of the provider to send the browser to and the
// sealed flow to keep with the login until it comes back, about 600 bytes. The
// error is one of ReasonDiscovery or ReasonBusy: see RefusedError.
func (r *Remote) Begin(ctx context.Context, p IDP, b Beginning) (address, sealed string, err error) {
	if p.Method != OIDC || p.Settings.OIDC == nil {
		return "", "", fmt.Errorf("IDP %s is not of method oidc", p.ID)
	}
	v := r.provider(&p)
	leave, ok := v.enter()
	if !ok {
		return "", "", refused(&p, ReasonBusy, nil)
	}
	defer leave()
	meta, err := v.metadata(ctx)
	if err != nil {
		return "", "", refused(&p, ReasonDiscovery, err)
	}
	f := flow{
		State: vault.NewSecret(), Nonce: vault.NewSecret(), Issuer: meta.issuer,
		Redirect: b.RedirectURI, MaxAge: b.MaxAge, Begun: r.config.Now(),
	}
	if b.Login != "" {
		f.State = b.Login + "." + f.State
	}
	if proofKey(p.Settings.OIDC, meta) {
		f.Verifier = vault.NewSecret()
	}
	address, err = requestURL(meta.endpoint.auth, request(p.Settings.OIDC, &b, &f))
	if err != nil {
		return "", "", refused(&p, ReasonDiscovery, err)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return "", "", fmt.Errorf("flow of IDP %s: %w", p.ID, err)
	}
	sealed, err = r.config.Ring.Seal(raw, flowAAD(&p))
	return address, sealed, err
}

// proofKey tells whether PKCE is used: where the settings want it, where we have
// no other credential (RFC 9700, 2.1.1), and wherever it is offered.
func proofKey(s *OIDCSettings, meta *metadata) bool {
	return s.UsePKCE || s.AuthenticationMethod == AuthNone || slices.Contains(meta.said.PKCE, "S256")
}

// request returns the parameters of the authorization request (OpenID Connect
// Core, 3.1.2.1).
func request(s *OIDCSettings, b *Beginning, f *flow) url.Values {
	scopes := s.Scopes
	if !slices.Contains(scopes, openidScope) {
		scopes = append([]string{openidScope}, scopes...)
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {s.ClientID}, "redirect_uri": {f.Redirect},
		"scope": {strings.Join(scopes, " ")}, "state": {f.State}, "nonce": {f.Nonce},
	}
	if f.Verifier != "" {
		sum := sha256.Sum256([]byte(f.Verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	if s.SendLoginHint && b.LoginHint != "" && len(b.LoginHint) <= maxHint {
		q.Set("login_hint", b.LoginHint)
	}
	if b.MaxAge != nil {
		q.Set("max_age", strconv.Itoa(*b.MaxAge))
	}
	for name, value := range map[string]string{
		"prompt": b.Prompt, "acr_values": strings.Join(b.ACRValues, " "), "ui_locales": strings.Join(b.UILocales, " "),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// requestURL adds parameters to those that the endpoint has of its own (RFC
// 6749, 3.1).
func requestURL(endpoint string, q url.Values) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	own := u.Query()
	for name, values := range q {
		own[name] = values
	}
	u.RawQuery = own.Encode()
	return u.String(), nil
}

// LoginOf returns the login that a state names, "" when it names none. It proves
// nothing: Finish does.
func LoginOf(state string) string {
	i := strings.LastIndexByte(state, '.')
	return state[:max(i, 0)]
}

// open reads a flow of the IDP that was begun not too long ago.
func (r *Remote) open(p *IDP, sealed string) (*flow, error) {
	raw, err := r.config.Ring.Open(sealed, flowAAD(p))
	if err != nil {
		return nil, err
	}
	var f flow
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if age := r.config.Now().Sub(f.Begun); age > flowLife {
		return nil, fmt.Errorf("begun %s ago", age)
	}
	return &f, nil
}
