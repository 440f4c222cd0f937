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
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Uses of keys. Assertions have keys of their own, so that an app which trusts
// the assertion keys can never be handed a token instead.
const (
	UseSig       = "sig"
	UseAssertion = "assertion"
)

// Key is one signing key of a workspace. The keys of one use and algorithm are
// numbered; which of them signs is for their head to say.
type Key struct {
	Workspace string          `json:"workspace"`
	Epoch     string          `json:"epoch"` // the workspace's
	Use       string          `json:"use"`
	Alg       string          `json:"alg"`
	KID       string          `json:"kid"`
	Public    json.RawMessage `json:"public"`
	Private   string          `json:"private"` // sealed JWK
	Created   time.Time       `json:"created"`
	Revoked   time.Time       `json:"revoked,omitzero"` // neither signs nor verifies since
}

// Algorithms returns the JWS algorithms that a workspace can sign with.
func Algorithms() []string {
	return []string{string(jose.ES256), string(jose.PS256), string(jose.RS256)}
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

// first is the algorithm that a workspace's keys of one use begin with.
func first(w Workspace, use string) string {
	if use == UseAssertion {
		return string(jose.ES256)
	}
	return string(Algorithm(w.KeyType))
}

// keyID names the n-th key of an algorithm.
func keyID(w Workspace, use, alg string, n int) string {
	number := fmt.Sprintf("%06d", n)
	if alg != first(w, use) {
		number = alg + "-" + number
	}
	return store.ID(w.ID, w.Epoch, use, number)
}

// numberOf reads n back from the id of a key.
func numberOf(id string) int {
	n, _ := strconv.Atoi(id[max(0, len(id)-6):])
	return n
}

// publish makes the n-th key of an algorithm unless it is there.
func (t *Tokens) publish(ctx context.Context, w Workspace, use, alg string, n int) error {
	id := keyID(w, use, alg, n)
	_, err := t.table.Get(ctx, w.Tenant, id)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	k, err := t.make(w, use, alg, id)
	if err != nil {
		return err
	}
	if _, err := t.table.Create(ctx, w.Tenant, id, k); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

func (t *Tokens) make(w Workspace, use, alg, id string) (Key, error) {
	priv, err := generate(alg)
	if err != nil {
		return Key{}, err
	}
	pub := jose.JSONWebKey{Key: priv.Public(), Algorithm: alg, Use: "sig"}
	sum, err := pub.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, fmt.Errorf("thumbprint: %w", err)
	}
	pub.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	public, err := json.Marshal(pub)
	if err != nil {
		return Key{}, err
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: priv, KeyID: pub.KeyID, Algorithm: alg})
	if err != nil {
		return Key{}, err
	}
	sealed, err := t.Ring.Seal(private, vault.AAD(w.Tenant, "keys", id, "private"))
	if err != nil {
		return Key{}, err
	}
	return Key{
		Workspace: w.ID, Epoch: w.Epoch, Use: use, Alg: alg, KID: pub.KeyID, Public: public, Private: sealed, Created: t.Now(),
	}, nil
}

func generate(alg string) (crypto.Signer, error) {
	if alg == string(jose.ES256) {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// private opens the private half of a stored key.
func (t *Tokens) private(row store.Row[Key]) (crypto.Signer, error) {
	raw, err := t.Ring.Open(row.Value.Private, vault.AAD(row.Tenant, "keys", row.ID, "private"))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", row.ID, err)
	}
	var priv jose.JSONWebKey
	if err := json.Unmarshal(raw, &priv); err != nil {
		return nil, fmt.Errorf("key %s: %w", row.ID, err)
	}
	s, ok := priv.Key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %s: %T cannot sign", row.ID, priv.Key)
	}
	return s, nil
}

// Clear removes the stored keys of a deleted workspace.
func (t *Tokens) Clear(ctx context.Context, tenant, workspace string) error {
	return errors.Join(
		remove(ctx, t.heads, tenant, store.Prefix(workspace)),
		remove(ctx, t.table, tenant, store.Prefix(workspace)),
	)
}

func remove[T any](ctx context.Context, table *store.Table[T], tenant, prefix string) error {
	for {
		rows, err := table.Range(ctx, tenant, prefix, store.Page{Limit: 100})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if err := table.Delete(ctx, tenant, row.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
}
