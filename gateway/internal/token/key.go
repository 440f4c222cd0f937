package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Uses of keys. Assertions have keys of their own, so that an app which trusts
// the assertion keys can never be handed a token instead.
const (
	UseSig       = "sig"
	UseAssertion = "assertion"
)

// States of a key, in the order of its life.
const (
	StateNext    = "next"    // published, not signing yet
	StateCurrent = "current" // signs
	StateRotated = "rotated" // no longer signs, still verifies
)

// Key is one signing key of a workspace.
type Key struct {
	Workspace string          `json:"workspace"`
	Epoch     string          `json:"epoch"` // the workspace's
	Use       string          `json:"use"`
	Alg       string          `json:"alg"`
	State     string          `json:"state"`
	KID       string          `json:"kid"`
	Public    json.RawMessage `json:"public"`
	Private   string          `json:"private"` // sealed JWK
	Created   time.Time       `json:"created"`
}

// Algorithm returns the JWS algorithm for a workspace's key_type; ES256 unless
// it says otherwise.
func Algorithm(keyType string) jose.SignatureAlgorithm {
	switch keyType {
	case "rsa":
		return jose.RS256
	case "ps":
		return jose.PS256
	default:
		return jose.ES256
	}
}

type ring struct {
	epoch   string
	signers map[string]*signer             // by use: the current key
	public  map[string]map[string]verifier // by use, then kid
	jwks    map[string][]byte              // by use: the document
}

type signer struct {
	alg  jose.SignatureAlgorithm
	kid  string
	priv crypto.Signer
}

type verifier struct {
	alg jose.SignatureAlgorithm
	key any
}

// keys returns the loaded keys of a workspace and makes them on first use.
func (t *Tokens) keys(ctx context.Context, w Workspace) (*ring, error) {
	ck := ringKey{w.Tenant, w.ID}
	if r, ok := t.rings.GetIfPresent(ck); ok && r.epoch == w.Epoch {
		return r, nil
	}
	r, err := t.load(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("keys of %s/%s: %w", w.Tenant, w.ID, err)
	}
	t.rings.Set(ck, r)
	return r, nil
}

func (t *Tokens) load(ctx context.Context, w Workspace) (*ring, error) {
	r := &ring{
		epoch: w.Epoch, signers: map[string]*signer{},
		public: map[string]map[string]verifier{}, jwks: map[string][]byte{},
	}
	for _, use := range []string{UseSig, UseAssertion} {
		rows, err := t.ensure(ctx, w, use)
		if err != nil {
			return nil, err
		}
		if err := t.fill(r, w, use, rows); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ensure returns the keys of one use; where there are none it makes a current
// and a next one. Their ids are numbered, so of two gateways doing so at once
// one writes and the other reads what was written.
func (t *Tokens) ensure(ctx context.Context, w Workspace, use string) ([]store.Row[Key], error) {
	for {
		rows, err := t.table.Range(ctx, w.Tenant, store.Prefix(w.ID, w.Epoch, use), store.Page{Limit: 1000})
		if err != nil || len(rows) >= 2 {
			return rows, err
		}
		for n, state := range []string{StateCurrent, StateNext} {
			id := store.ID(w.ID, w.Epoch, use, fmt.Sprintf("%06d", n+1))
			k, err := t.make(w, use, state, id)
			if err != nil {
				return nil, err
			}
			if _, err := t.table.Create(ctx, w.Tenant, id, k); err != nil && !errors.Is(err, store.ErrExists) {
				return nil, err
			}
		}
	}
}

func (t *Tokens) make(w Workspace, use, state, id string) (Key, error) {
	alg := jose.ES256
	if use == UseSig {
		alg = Algorithm(w.KeyType)
	}
	priv, err := generate(alg)
	if err != nil {
		return Key{}, err
	}
	pub := jose.JSONWebKey{Key: priv.Public(), Algorithm: string(alg), Use: "sig"}
	sum, err := pub.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, fmt.Errorf("thumbprint: %w", err)
	}
	pub.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	public, err := json.Marshal(pub)
	if err != nil {
		return Key{}, err
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: priv, KeyID: pub.KeyID, Algorithm: string(alg)})
	if err != nil {
		return Key{}, err
	}
	sealed, err := t.Ring.Seal(private, vault.AAD(w.Tenant, "keys", id, "private"))
	if err != nil {
		return Key{}, err
	}
	return Key{
		Workspace: w.ID, Epoch: w.Epoch, Use: use, Alg: string(alg), State: state,
		KID: pub.KeyID, Public: public, Private: sealed, Created: t.Now(),
	}, nil
}

func generate(alg jose.SignatureAlgorithm) (crypto.Signer, error) {
	if alg == jose.ES256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

func (t *Tokens) fill(r *ring, w Workspace, use string, rows []store.Row[Key]) error {
	r.public[use] = map[string]verifier{}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, row := range rows {
		k := row.Value
		var pub jose.JSONWebKey
		if err := json.Unmarshal(k.Public, &pub); err != nil {
			return fmt.Errorf("key %s: %w", row.ID, err)
		}
		alg := jose.SignatureAlgorithm(k.Alg)
		r.public[use][k.KID] = verifier{alg: alg, key: pub.Key}
		set.Keys = append(set.Keys, k.Public)
		if k.State != StateCurrent {
			continue
		}
		raw, err := t.Ring.Open(k.Private, vault.AAD(w.Tenant, "keys", row.ID, "private"))
		if err != nil {
			return fmt.Errorf("key %s: %w", row.ID, err)
		}
		var priv jose.JSONWebKey
		if err := json.Unmarshal(raw, &priv); err != nil {
			return fmt.Errorf("key %s: %w", row.ID, err)
		}
		s, ok := priv.Key.(crypto.Signer)
		if !ok {
			return fmt.Errorf("key %s: %T cannot sign", row.ID, priv.Key)
		}
		r.signers[use] = &signer{alg: alg, kid: k.KID, priv: s}
	}
	if r.signers[use] == nil {
		return fmt.Errorf("no current key for use %q", use)
	}
	doc, err := json.Marshal(set)
	r.jwks[use] = doc
	return err
}

// JWKS returns the public keys of one use as a JWK Set (RFC 7517, section 5).
// The caller must not change the bytes.
func (t *Tokens) JWKS(ctx context.Context, w Workspace, use string) ([]byte, error) {
	r, err := t.keys(ctx, w)
	if err != nil {
		return nil, err
	}
	return r.jwks[use], nil
}

// Clear removes the stored keys of a deleted workspace.
func (t *Tokens) Clear(ctx context.Context, tenant, workspace string) error {
	for {
		rows, err := t.table.Range(ctx, tenant, store.Prefix(workspace), store.Page{Limit: 100})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if err := t.table.Delete(ctx, tenant, row.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
}

// Apply takes entries of the change log; nil drops every cached key.
func (t *Tokens) Apply(entries []changes.Entry) {
	if entries == nil {
		t.rings.InvalidateAll()
	}
	for _, e := range entries {
		if e.Kind == changes.KindKey || e.Kind == changes.KindWorkspace {
			t.rings.Invalidate(ringKey{e.Tenant, e.Workspace})
		}
	}
}
