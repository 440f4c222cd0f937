package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

const (
	maxDocument = 256 << 10        // bytes of what a client's address answers
	maxKeys     = 100              // keys read of one set
	maxTries    = 5                // keys tried for a signature that names none
	keysFresh   = 5 * time.Minute  // a set is not asked for again
	keysPause   = time.Minute      // between two fetches for keys that are not there
	keysRetry   = 10 * time.Second // between two fetches that fail
	keysLast    = 24 * time.Hour   // the last good set serves while its address does not
	fetchTime   = 5 * time.Second
)

// Keys finds the public keys of clients: those in jwks, or those that jwks_uri
// answers. Safe for concurrent use.
type Keys struct {
	fetch  *http.Client
	now    func() time.Time
	sets   *otter.Cache[setKey, keySet]
	flight singleflight.Group
}

// setKey: what an address answers does not depend on the client, but tenants
// share nothing.
type setKey struct{ tenant, uri string }

// keySet is what an address answered.
type keySet struct {
	keys  []jose.JSONWebKey
	good  time.Time // when they were fetched; zero: never
	tried time.Time
}

// due tells whether the address may be asked: for a key that is not there sooner
// than for those that are.
func (s keySet) due(now time.Time, missing bool) bool {
	switch age := now.Sub(s.tried); {
	case s.tried.IsZero():
		return true
	case s.tried.After(s.good):
		return age >= keysRetry
	case missing:
		return age >= keysPause
	default:
		return age >= keysFresh
	}
}

// NewKeys returns an empty cache that fetches by h, which guards where it
// connects to. A nil now is time.Now.
func NewKeys(h *http.Client, now func() time.Time) (*Keys, error) {
	if now == nil {
		now = time.Now
	}
	sets, err := otter.New(&otter.Options[setKey, keySet]{MaximumSize: 10_000})
	if err != nil {
		return nil, fmt.Errorf("cache of client keys: %w", err)
	}
	return &Keys{fetch: h, now: now, sets: sets}, nil
}

// fitting returns the keys of a client that may have signed by alg under the id
// kid; an empty kid is any. A set from an address is fetched at most every five
// minutes, for an id that is not in it at most once a minute; while the address
// does not answer the last set serves for a day.
func (k *Keys) fitting(ctx context.Context, c *Client, alg jose.SignatureAlgorithm, kid string) ([]jose.JSONWebKey, error) {
	if c.JWKSURI == "" {
		keys, err := readKeys(c.JWKS)
		return fit(keys, alg, kid), err
	}
	set, err := k.load(ctx, c, false)
	found := fit(set.keys, alg, kid)
	if len(found) > 0 || err != nil {
		return found, err
	}
	set, err = k.load(ctx, c, true)
	return fit(set.keys, alg, kid), err
}

// all returns every key of a client.
func (k *Keys) all(ctx context.Context, c *Client) ([]jose.JSONWebKey, error) {
	if c.JWKSURI == "" {
		return readKeys(c.JWKS)
	}
	set, err := k.load(ctx, c, false)
	return set.keys, err
}

// load returns the set of a client's address. Callers that come at once share one
// fetch, which goes on when the one that began it leaves.
func (k *Keys) load(ctx context.Context, c *Client, missing bool) (keySet, error) {
	key := setKey{c.TenantID, c.JWKSURI}
	if set, ok := k.sets.GetIfPresent(key); ok && !set.due(k.now(), missing) {
		return set.usable(k.now())
	}
	ch := k.flight.DoChan(key.tenant+" "+key.uri, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
		defer cancel()
		old, _ := k.sets.GetIfPresent(key)
		if !old.due(k.now(), missing) { // somebody was faster
			return old, nil
		}
		next := keySet{keys: old.keys, good: old.good, tried: k.now()}
		raw, err := get(ctx, k.fetch, key.uri)
		if err == nil {
			var keys []jose.JSONWebKey
			if keys, err = readKeys(raw); err == nil {
				next.keys, next.good = keys, next.tried
			}
		}
		k.sets.Set(key, next)
		if next.good.IsZero() {
			return next, err
		}
		return next, nil
	})
	select {
	case done := <-ch:
		if done.Err != nil {
			return keySet{}, fmt.Errorf("keys from jwks_uri: %w", done.Err)
		}
		return done.Val.(keySet).usable(k.now())
	case <-ctx.Done():
		return keySet{}, ctx.Err()
	}
}

// usable forgets keys whose address has not answered for too long.
func (s keySet) usable(now time.Time) (keySet, error) {
	if s.good.IsZero() || now.Sub(s.good) > keysLast {
		return keySet{}, fmt.Errorf("jwks_uri has not answered with keys since %s", s.good)
	}
	return s, nil
}

// get reads a JSON document that a client's address answers.
func get(ctx context.Context, h *http.Client, uri string) ([]byte, error) {
	if h == nil {
		return nil, fmt.Errorf("get %s: nothing here may call addresses of clients", uri)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", uri, resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(raw) > maxDocument {
		err = fmt.Errorf("get %s: more than %d bytes", uri, maxDocument)
	}
	return raw, err
}

// readKeys reads the public keys of a set and passes over what it does not
// understand (RFC 7517, section 5). No set is an empty one.
func readKeys(raw []byte) ([]jose.JSONWebKey, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, one := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if json.Unmarshal(one, &key) == nil && key.IsPublic() {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// fit picks the keys that a signature by alg with the id kid may be of.
func fit(keys []jose.JSONWebKey, alg jose.SignatureAlgorithm, kid string) []jose.JSONWebKey {
	var found []jose.JSONWebKey
	for _, key := range keys {
		if (key.Use == "" || key.Use == "sig") && (key.Algorithm == "" || key.Algorithm == string(alg)) &&
			(kid == "" || key.KeyID == kid) && signs(key.Key, alg) && len(found) < maxTries {
			found = append(found, key)
		}
	}
	return found
}

// signs tells whether a public key is of the kind and size for alg (RFC 7518,
// section 3).
func signs(key any, alg jose.SignatureAlgorithm) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && key.Curve == elliptic.P256()
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return (alg == jose.RS256 || alg == jose.PS256) && bits >= 2048 && bits <= 8192
	}
	return false
}
