package idp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	metadataFresh = time.Hour        // metadata is not asked for again
	metadataLast  = 24 * time.Hour   // and serves while the provider does not answer
	firstPause    = time.Second      // after a failed discovery; doubles
	longestPause  = time.Minute      // between two failed ones
	keysPause     = 10 * time.Second // between two fetches of keys, whatever the reason
	keysLast      = 24 * time.Hour   // the last good keys serve while their address does not
	fetchTime     = 10 * time.Second
	maxDocument   = 1 << 20
	maxKeys       = 100
	maxTries      = 5  // keys tried for a signature that names none
	maxCalls      = 64 // sign-ins that wait for one provider
)

// metadata is what a provider announces of itself (OpenID Connect Discovery, 3).
type metadata struct {
	issuer   string
	endpoint struct{ auth, token, userinfo string }
	algs     []string // asymmetric ones for ID tokens
	said     announced
}

type announced struct {
	JWKSURI     string   `json:"jwks_uri"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	PKCE        []string `json:"code_challenge_methods_supported"`
	ResponseISS bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

// provider is an OpenID provider as one tenant knows it. Its metadata and keys are
// fetched when they are needed, by one caller for all, and the last good ones
// serve while it does not answer. Safe for concurrent use.
type provider struct {
	issuer string // as the IDP's settings have it
	http   *http.Client
	now    func() time.Time
	flight singleflight.Group
	calls  chan struct{} // one element a sign-in under way

	mu       sync.Mutex
	meta     *metadata
	read     time.Time // when meta was
	failed   error     // of the last discovery; nil after a good one
	tried    time.Time
	pause    time.Duration // until the next discovery after a failed one
	keys     []jose.JSONWebKey
	keysRead time.Time
	keysTry  time.Time
	keysFail error
}

func newProvider(issuer string, h *http.Client, now func() time.Time) *provider {
	return &provider{issuer: issuer, http: h, now: now, calls: make(chan struct{}, maxCalls)}
}

// enter admits a sign-in, unless too many wait for this provider already: one
// that hangs must not hold everything.
func (v *provider) enter() (leave func(), ok bool) {
	select {
	case v.calls <- struct{}{}:
		return func() { <-v.calls }, true
	default:
		return nil, false
	}
}

// metadata returns what the provider announces. Good metadata that is old is
// given back at once and renewed beside that.
func (v *provider) metadata(ctx context.Context) (*metadata, error) {
	v.mu.Lock()
	meta, age, failed := v.meta, v.now().Sub(v.read), v.failed
	due := v.now().Sub(v.tried) >= v.pause
	v.mu.Unlock()
	switch {
	case meta != nil && age < metadataFresh:
		return meta, nil
	case meta != nil && age < metadataLast:
		if due {
			v.flight.DoChan("metadata", v.discover) // nobody waits for it
		}
		return meta, nil
	case !due && failed != nil:
		return nil, failed
	}
	done := v.flight.DoChan("metadata", v.discover)
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*metadata), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// discover fetches the metadata. It has a context of its own: the request that
// began it may end before (coreos/go-oidc#339).
func (v *provider) discover() (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	meta, err := v.fetchMetadata(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tried = v.now()
	if err != nil {
		v.failed = err
		v.pause = min(max(2*v.pause, firstPause), longestPause)
		return nil, err
	}
	if v.meta != nil && v.meta.said.JWKSURI != meta.said.JWKSURI {
		v.keysRead = time.Time{} // the old ones are another address's
		v.keys = nil
	}
	v.meta, v.read, v.failed, v.pause = meta, v.tried, nil, 0
	return meta, nil
}

func (v *provider) fetchMetadata(ctx context.Context) (*metadata, error) {
	ctx = oidc.ClientContext(ctx, v.http)
	found, err := oidc.NewProvider(ctx, v.issuer)
	if wrong, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok && sameIssuer(wrong.Discovered, v.issuer) {
		found, err = oidc.NewProvider(ctx, wrong.Discovered) // the same address, and the issuer as tokens have it
	}
	if err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", v.issuer, short(err))
	}
	var doc struct {
		announced

		Issuer string   `json:"issuer"`
		Algs   []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := found.Claims(&doc); err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", v.issuer, err)
	}
	m := &metadata{issuer: doc.Issuer, said: doc.announced}
	m.endpoint.auth, m.endpoint.token, m.endpoint.userinfo = found.Endpoint().AuthURL, found.Endpoint().TokenURL, found.UserInfoEndpoint()
	for _, at := range []struct {
		name, url string
		optional  bool
	}{
		{"authorization_endpoint", m.endpoint.auth, false},
		{"token_endpoint", m.endpoint.token, false},
		{"jwks_uri", m.said.JWKSURI, false},
		{"userinfo_endpoint", m.endpoint.userinfo, true},
	} {
		if at.url == "" && at.optional {
			continue
		}
		if _, err := secureURL(at.url); err != nil {
			return nil, fmt.Errorf("discovery of %s: %s %w", v.issuer, at.name, err)
		}
	}
	m.algs = slices.DeleteFunc(doc.Algs, func(alg string) bool { return !slices.Contains(asymmetric(), alg) })
	if len(m.algs) == 0 {
		m.algs = []string{oidc.RS256} // OpenID Connect Core, 15.1
	}
	return m, nil
}

// asymmetric are the algorithms that an ID token may have. A shared secret as
// key, or none, would let others than the provider sign.
func asymmetric() []string {
	return []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
	}
}

var errNoKeys = errors.New("none were read yet")

// signing returns the provider's keys that may have signed by alg under the id
// kid. Keys are fetched when there are none that fit, at most once in ten seconds
// for all who ask: the id is whatever somebody wrote into a token.
func (v *provider) signing(ctx context.Context, meta *metadata, alg, kid string) ([]jose.JSONWebKey, error) {
	found, due, err := v.known(alg, kid)
	if len(found) > 0 || !due {
		return found, err
	}
	done := v.flight.DoChan("keys", func() (any, error) { return nil, v.fetchKeys(meta.said.JWKSURI) })
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found, _, err = v.known(alg, kid)
	return found, err
}

// known returns the keys that are here and fit, and whether others may be
// fetched. The error says why there are none at all.
func (v *provider) known(alg, kid string) (found []jose.JSONWebKey, due bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	due = v.now().Sub(v.keysTry) >= keysPause
	if v.keysRead.IsZero() || v.now().Sub(v.keysRead) > keysLast {
		return nil, due, fmt.Errorf("keys of %s: %w", v.issuer, cmp.Or(v.keysFail, errNoKeys))
	}
	for _, k := range v.keys {
		if k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") && (k.Algorithm == "" || k.Algorithm == alg) && (kid == "" || k.KeyID == kid) {
			found = append(found, k)
		}
	}
	if kid == "" && len(found) > maxTries {
		found = found[:maxTries]
	}
	return found, due, nil
}

// fetchKeys is called by one at a time. The pause begins when the answer is
// here, so those who come meanwhile wait for it rather than do without.
func (v *provider) fetchKeys(address string) error {
	v.mu.Lock()
	due := v.now().Sub(v.keysTry) >= keysPause
	v.mu.Unlock()
	if !due { // somebody was faster
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	keys, err := readKeys(ctx, v.http, address)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keysTry, v.keysFail = v.now(), err
	if err == nil {
		v.keys, v.keysRead = keys, v.keysTry
	}
	return err
}

// readKeys reads a set. A key of a kind that is not known here is left out.
func readKeys(ctx context.Context, h *http.Client, address string) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	status, body, err := fetch(h, req)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("jwks_uri answers with status %d", status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("jwks_uri answers with no key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("jwks_uri has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil && k.Valid() {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("jwks_uri has no keys that can be used")
	}
	return keys, nil
}

// fetch does one bounded call.
func fetch(h *http.Client, req *http.Request) (status int, body []byte, err error) {
	res, err := h.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = fmt.Errorf("the answer has more than %d bytes", maxDocument)
	}
	return res.StatusCode, body, err
}

// shortError bounds what a provider can write into our log.
type shortError struct {
	say string
	err error
}

func (e *shortError) Error() string { return e.say }
func (e *shortError) Unwrap() error { return e.err }

func short(err error) error {
	const most = 300
	say := err.Error()
	if len(say) <= most {
		return err
	}
	return &shortError{say: say[:most] + "...", err: err}
}
