package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// ring is the loaded keys of a workspace. It is never changed.
type ring struct {
	epoch   string
	own     map[string]string              // by use: the algorithm that signs unless told otherwise
	signers map[string]map[string]*signer  // by use, then algorithm: the current keys
	public  map[string]map[string]verifier // by use, then kid
	jwks    map[string][]byte              // by use: the document
}

// signer is a key that is ready to sign, by typ header.
type signer struct{ by map[string]jose.Signer }

type verifier struct {
	alg jose.SignatureAlgorithm
	key any
}

// signer returns what signs for one use by alg, or by the workspace's own
// algorithm when it is "".
func (t *Tokens) signer(ctx context.Context, w Workspace, use, alg string) (*signer, error) {
	r, err := t.keys(ctx, w)
	if err != nil {
		return nil, err
	}
	if alg == "" {
		alg = r.own[use]
	}
	if s := r.signers[use][alg]; s != nil {
		return s, nil
	}
	if err := t.begin(ctx, w, use, alg); err != nil {
		return nil, err
	}
	if r, err = t.keys(ctx, w); err != nil {
		return nil, err
	}
	if s := r.signers[use][alg]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("workspace %s/%s has no %s key", w.Tenant, w.ID, alg)
}

// keys returns the loaded keys of a workspace and makes them on first use.
func (t *Tokens) keys(ctx context.Context, w Workspace) (*ring, error) {
	ck := ringKey{w.Tenant, w.ID}
	if r, ok := t.rings.GetIfPresent(ck); ok && r.epoch == w.Epoch {
		return r, nil
	}
	t.fresh.Lock()
	before := t.applied
	t.fresh.Unlock()
	r, err := t.load(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("keys of %s/%s: %w", w.Tenant, w.ID, err)
	}
	t.fresh.Lock()
	defer t.fresh.Unlock()
	if t.applied == before { // else a change may have come after what was read
		t.rings.Set(ck, r)
	}
	return r, nil
}

func (t *Tokens) load(ctx context.Context, w Workspace) (*ring, error) {
	r := &ring{
		epoch: w.Epoch, own: map[string]string{}, signers: map[string]map[string]*signer{},
		public: map[string]map[string]verifier{}, jwks: map[string][]byte{},
	}
	for _, use := range []string{UseSig, UseAssertion} {
		at, err := t.head(ctx, w, use)
		if err != nil {
			return nil, err
		}
		rows, err := t.stored(ctx, w, use)
		if err != nil {
			return nil, err
		}
		if err := t.fill(r, use, at.Value, rows); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// stored reads every key of one use, in the order of their ids.
func (t *Tokens) stored(ctx context.Context, w Workspace, use string) ([]store.Row[Key], error) {
	const page = 200
	var all []store.Row[Key]
	after := ""
	for {
		rows, err := t.table.Range(ctx, w.Tenant, store.Prefix(w.ID, w.Epoch, use), store.Page{Limit: page, After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if len(rows) < page {
			return all, nil
		}
		after = rows[len(rows)-1].ID
	}
}

func (t *Tokens) fill(r *ring, use string, at head, rows []store.Row[Key]) error {
	r.own[use], r.signers[use], r.public[use] = at.Own, map[string]*signer{}, map[string]verifier{}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, row := range rows {
		k := row.Value
		if !k.Revoked.IsZero() {
			continue
		}
		var pub jose.JSONWebKey
		if err := json.Unmarshal(k.Public, &pub); err != nil {
			return fmt.Errorf("key %s: %w", row.ID, err)
		}
		r.public[use][k.KID] = verifier{alg: jose.SignatureAlgorithm(k.Alg), key: pub.Key}
		set.Keys = append(set.Keys, k.Public)
		if numberOf(row.ID) != at.Current[k.Alg] {
			continue
		}
		s, err := t.ready(row)
		if err != nil {
			return err
		}
		r.signers[use][k.Alg] = s
	}
	if r.signers[use][at.Own] == nil {
		return fmt.Errorf("no current key for use %q", use)
	}
	doc, err := json.Marshal(set)
	r.jwks[use] = doc
	return err
}

// ready prepares a key to sign every kind of its use. A jose.Signer keeps nothing
// between calls, so that one serves all.
func (t *Tokens) ready(row store.Row[Key]) (*signer, error) {
	priv, err := t.private(row)
	if err != nil {
		return nil, err
	}
	s := &signer{by: map[string]jose.Signer{}}
	for _, typ := range types(row.Value.Use) {
		opts := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", row.Value.KID)
		key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(row.Value.Alg), Key: priv}
		if s.by[typ], err = jose.NewSigner(key, opts); err != nil {
			return nil, fmt.Errorf("key %s: %w", row.ID, err)
		}
	}
	return s, nil
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

// Apply takes entries of the change log; nil drops every cached key.
func (t *Tokens) Apply(entries []changes.Entry) {
	t.fresh.Lock()
	defer t.fresh.Unlock()
	t.applied++
	dropped := entries == nil
	if dropped {
		t.rings.InvalidateAll()
	}
	for _, e := range entries {
		if e.Kind == changes.KindKey || e.Kind == changes.KindWorkspace {
			t.rings.Invalidate(ringKey{e.Tenant, e.Workspace})
			dropped = true
		}
	}
	if dropped { // last: who sees it finds no old key
		t.changes.Add(1)
	}
}

// changed makes every gateway read the keys of a workspace again.
func (t *Tokens) changed(ctx context.Context, w Workspace) error {
	e := changes.Entry{Kind: changes.KindKey, Tenant: w.Tenant, Workspace: w.ID}
	var err error
	if t.Changed != nil {
		err = t.Changed(ctx, e)
	}
	t.Apply([]changes.Entry{e})
	return err
}

// gone tells whether a record is not there.
func gone(err error) bool { return errors.Is(err, store.ErrNotFound) }
