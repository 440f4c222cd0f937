package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const thisClient = "client"

// clientRecord is a client as it is stored, in its tenant by its id.
type clientRecord struct {
	Value          plain           `json:"value"` // without secrets and extra members
	Extra          json.RawMessage `json:"extra,omitempty"`
	Secret         secretRecord    `json:"secret"` // current; without hash: none
	Rotated        []secretRecord  `json:"rotated,omitempty"`
	Registration   *registration   `json:"registration,omitempty"` // without: no client that manages itself
	TenantEpoch    string          `json:"tenant_epoch"`
	WorkspaceEpoch string          `json:"workspace_epoch"`
	Epoch          string          `json:"epoch"`
}

func (r *clientRecord) byID() (store.Key, bool) {
	return store.Key{Equal: r.Value.WorkspaceID, Order: r.Value.ClientID}, true
}

func (r *clientRecord) byName() (store.Key, bool) {
	return store.Key{Equal: r.Value.WorkspaceID, Order: strings.ToLower(r.Value.ClientName)}, true
}

func (r *clientRecord) byIssue() (store.Key, bool) {
	return store.Key{Equal: r.Value.WorkspaceID, Order: store.OrderTime(r.Value.CreatedAt)}, true
}

// Clients keeps clients. Safe for concurrent use.
type Clients struct {
	config Config
	table  *store.Table[clientRecord]
	scopes *Scopes
}

// Create stores a new client in the workspace that c names, with defaults, id
// and secret filled in, and returns it with its secret in the clear. Errors:
// Unprocessable, NotFound for the workspace, Conflict for a taken id.
func (k *Clients) Create(ctx context.Context, c Client) (Client, error) {
	return k.create(ctx, c, nil, nil)
}

// create stores a new client; own is by what it manages itself. admit is called
// when everything has been checked, before anything is stored.
func (k *Clients) create(ctx context.Context, c Client, admit func(context.Context) error, own *registration) (Client, error) {
	w, err := k.prepare(ctx, &c)
	if err != nil {
		return Client{}, err
	}
	rec := clientRecord{TenantEpoch: w.TenantEpoch, WorkspaceEpoch: w.Epoch, Epoch: vault.NewID(), Registration: own}
	rec.put(c)
	if err := k.first(ctx, &rec, &c); err != nil {
		return Client{}, err
	}
	if admit != nil {
		if err := admit(ctx); err != nil {
			return Client{}, err
		}
	}
	row, err := k.table.Create(ctx, c.TenantID, c.ClientID, rec)
	if err != nil {
		return Client{}, taken(err)
	}
	if err := k.config.still(ctx, &w); err != nil {
		return Client{}, errors.Join(err, k.table.DeleteIf(ctx, c.TenantID, c.ClientID, row.Rev))
	}
	made, err := k.written(ctx, row, audit.ActionCreated)
	made.ClientSecret, made.RotatedSecrets = c.ClientSecret, c.RotatedSecrets
	return made, err
}

// prepare fills a new client in and checks it. It returns its workspace.
func (k *Clients) prepare(ctx context.Context, c *Client) (tenant.Workspace, error) {
	if c.WorkspaceID == "" {
		return tenant.Workspace{}, fault.At(fault.Unprocessable, "authorization_server_id", "is required")
	}
	if c.ClientID == "" {
		c.ClientID = newID()
	} else if err := record.ID("client_id", c.ClientID); err != nil {
		return tenant.Workspace{}, err
	}
	said := c.SubjectType != ""
	c.fill()
	if err := c.check(); err != nil {
		return tenant.Workspace{}, err
	}
	w, err := k.config.Workspace(ctx, c.Key())
	if err != nil {
		return w, err
	}
	if err := c.subjects(&w, said, ""); err != nil {
		return w, err
	}
	if err := k.scopes.known(ctx, &w, c.Scopes, nil); err != nil {
		return w, err
	}
	if err := k.listed(ctx, c); err != nil {
		return w, err
	}
	now := k.config.Now().UTC().Truncate(time.Millisecond)
	c.CreatedAt, c.UpdatedAt, c.ClientIDIssuedAt = now, now, now.Unix()
	if c.ClientSecret == "" && c.HashedSecret == "" && needsSecret(c.TokenEndpointAuthMethod) {
		c.ClientSecret = vault.NewSecret()
	}
	return w, nil
}

func taken(err error) error {
	err = record.Fault(err, thisClient)
	if e := fault.Read(err); e.Kind == fault.Conflict {
		return &fault.Error{Kind: e.Kind, Field: "client_id", Public: e.Public, Cause: e.Cause}
	}
	return err
}

// put writes c into a record without secrets. Epochs stay.
func (r *clientRecord) put(c Client) {
	r.Value, r.Extra = plain(c.Bare()), c.Extra
	r.Value.secrets = nil
}

// first stores the secrets that a creation came with.
func (k *Clients) first(ctx context.Context, r *clientRecord, c *Client) error {
	oneWay, err := k.oneWay(ctx, c.TenantID)
	if err != nil {
		return err
	}
	if err := c.checkKept(oneWay || c.ClientSecret == ""); err != nil {
		return err
	}
	switch {
	case c.ClientSecret != "":
		if r.Secret, err = k.keep(c.TenantID, c.ClientID, c.ClientSecret, oneWay); err != nil {
			return err
		}
	case c.HashedSecret != "":
		r.Secret = secretRecord{Hash: c.HashedSecret}
	}
	c.RotatedSecrets = c.RotatedSecrets[:min(len(c.RotatedSecrets), maxRotated)]
	for _, s := range c.RotatedSecrets {
		old, err := k.keep(c.TenantID, c.ClientID, s, oneWay)
		if err != nil {
			return err
		}
		r.Rotated = append(r.Rotated, old)
	}
	return nil
}

func (k *Clients) oneWay(ctx context.Context, tenant string) (bool, error) {
	if k.config.OneWay == nil {
		return false, nil
	}
	return k.config.OneWay(ctx, tenant)
}

// written tells the change log and the audit log of a write.
func (k *Clients) written(ctx context.Context, row store.Row[clientRecord], action string) (Client, error) {
	c, err := load(row)
	if err != nil {
		return Client{}, err
	}
	if err := k.config.changed(ctx, changes.KindClient, c.Key(), c.ClientID); err != nil {
		return c, err
	}
	return c, k.config.record(ctx, c.Key(), audit.SubjectClient, action, &c)
}

// Get returns a client without its secrets in the clear; Check and Prove work on
// it. NotFound also when its workspace has gone.
func (k *Clients) Get(ctx context.Context, tenantID, id string) (Client, error) {
	row, err := k.table.Get(ctx, tenantID, id)
	if err != nil {
		return Client{}, record.Fault(err, thisClient)
	}
	w, err := k.config.Workspace(ctx, tenant.Key{Tenant: tenantID, Workspace: row.Value.Value.WorkspaceID})
	if fault.Is(err, fault.NotFound) || err == nil && !row.Value.belongs(&w) {
		return Client{}, record.Fault(fmt.Errorf("client %q outlived its workspace: %w", id, store.ErrNotFound), thisClient)
	}
	if err != nil {
		return Client{}, err
	}
	return load(row)
}

// Find is Get for a client of one workspace; those of others are NotFound.
func (k *Clients) Find(ctx context.Context, key tenant.Key, id string) (Client, error) {
	c, err := k.Get(ctx, key.Tenant, id)
	if err == nil && c.WorkspaceID != key.Workspace {
		return Client{}, record.Fault(store.ErrNotFound, thisClient)
	}
	return c, err
}

// Reveal sets ClientSecret and RotatedSecrets of clients from their sealed
// copies. They stay blank for a developer's client and where a tenant keeps
// hashes only (published API, section 17, getClient).
func (k *Clients) Reveal(ctx context.Context, list ...*Client) error {
	for _, c := range list {
		oneWay, err := k.oneWay(ctx, c.TenantID)
		if err != nil {
			return err
		}
		if oneWay || c.DeveloperID != "" {
			continue
		}
		row, err := k.table.Get(ctx, c.TenantID, c.ClientID)
		if err != nil {
			return record.Fault(err, thisClient)
		}
		if c.ClientSecret, err = k.recall(c.TenantID, c.ClientID, row.Value.Secret); err != nil {
			return err
		}
		c.RotatedSecrets = nil
		for _, old := range row.Value.Rotated {
			secret, err := k.recall(c.TenantID, c.ClientID, old)
			if err != nil {
				return err
			}
			if secret != "" && !old.over(k.config.Now()) {
				c.RotatedSecrets = append(c.RotatedSecrets, secret)
			}
		}
	}
	return nil
}

// Update replaces a client: members that are missing go back to their defaults.
// Id, workspace, developer, times and epochs stay; the secret stays unless c has
// another one. Of a developer's client only metadata, system and trusted change.
// c.Rev, when it is not 0, is the revision the caller has seen. A client that
// becomes inactive loses its tokens.
func (k *Clients) Update(ctx context.Context, c Client) (Client, error) {
	return k.update(ctx, c, func(*clientRecord) {})
}

// update is Update that alters more of the record in the same write.
func (k *Clients) update(ctx context.Context, c Client, more func(*clientRecord)) (Client, error) {
	old, err := k.Get(ctx, c.TenantID, c.ClientID)
	if err != nil {
		return Client{}, err
	}
	if c.Rev != 0 && c.Rev != old.Rev {
		return Client{}, record.Fault(store.ErrStale, thisClient)
	}
	next, err := k.next(ctx, c, old)
	if err != nil {
		return Client{}, err
	}
	oneWay, err := k.oneWay(ctx, c.TenantID)
	if err == nil {
		err = next.checkKept(oneWay)
	}
	if err != nil {
		return Client{}, err
	}
	ends := old.Active() && !next.Active()
	if ends {
		if err := k.config.changed(ctx, changes.KindRevokeClient, old.Key(), old.ClientID); err != nil {
			return Client{}, err
		}
	}
	row, err := record.Change(ctx, k.table, c.TenantID, c.ClientID, c.Rev, func(r *clientRecord) error {
		r.put(next)
		more(r)
		return k.renew(r, &next, oneWay)
	})
	if err != nil {
		return Client{}, record.Fault(err, thisClient)
	}
	c, err = k.written(ctx, row, audit.ActionUpdated)
	if err == nil && ends { // what was signed before everybody knew
		err = k.config.changed(ctx, changes.KindRevokeClient, old.Key(), old.ClientID)
	}
	return c, err
}

// renew stores the secret that an update came with, unless the client has or had
// it.
func (k *Clients) renew(r *clientRecord, next *Client, oneWay bool) (err error) {
	if next.ClientSecret != "" && !r.has(vault.Hash(next.ClientSecret)) {
		r.Secret, err = k.keep(next.TenantID, next.ClientID, next.ClientSecret, oneWay)
	}
	return err
}

// next returns the checked client that an update makes of the old one.
func (k *Clients) next(ctx context.Context, c, old Client) (Client, error) {
	if c.WorkspaceID != "" && c.WorkspaceID != old.WorkspaceID {
		return Client{}, fault.At(fault.Unprocessable, "authorization_server_id", fmt.Sprintf("is %q and cannot be changed", old.WorkspaceID))
	}
	next := merge(c, old)
	said := next.SubjectType != ""
	next.fill()
	if err := next.check(); err != nil {
		return Client{}, err
	}
	w, err := k.config.Workspace(ctx, old.Key())
	if err != nil {
		return Client{}, err
	}
	if err := next.subjects(&w, said, old.SubjectType); err != nil {
		return Client{}, err
	}
	if err := k.scopes.known(ctx, &w, next.Scopes, old.Scopes); err != nil {
		return Client{}, err
	}
	if next.SectorIdentifierURI != old.SectorIdentifierURI || !slices.Equal(next.RedirectURIs, old.RedirectURIs) {
		if err := k.listed(ctx, &next); err != nil {
			return Client{}, err
		}
	}
	if next.ClientSecret == "" && len(old.secrets) == 0 && needsSecret(next.TokenEndpointAuthMethod) {
		next.ClientSecret = vault.NewSecret()
	}
	next.UpdatedAt = k.config.Now().UTC().Truncate(time.Millisecond)
	return next, nil
}

// has tells whether a hash is of a secret that is or was the client's: an update
// that sends back what was read before a rotation does not undo that.
func (r *clientRecord) has(hash string) bool {
	return r.Secret.Hash == hash || slices.ContainsFunc(r.Rotated, func(s secretRecord) bool { return s.Hash == hash })
}

// merge returns what an update makes of a client, before defaults.
func merge(c, old Client) Client {
	if old.DeveloperID != "" {
		next := old
		next.Metadata, next.System, next.Trusted = c.Metadata, c.System, c.Trusted
		return next
	}
	next := c
	next.WorkspaceID, next.DeveloperID = old.WorkspaceID, ""
	next.CreatedAt, next.ClientIDIssuedAt = old.CreatedAt, old.ClientIDIssuedAt
	next.DynamicallyRegistered, next.SoftwareID, next.SoftwareVersion = old.DynamicallyRegistered, old.SoftwareID, old.SoftwareVersion
	next.RotatedSecrets, next.HashedSecret = nil, ""
	return next
}

// Delete removes a client at revision rev, or whatever it is when rev is 0. Its
// grants and tokens end first, and once more when it is gone: whoever had read it
// before could still sign a token. A system client is refused: Denied.
func (k *Clients) Delete(ctx context.Context, tenantID, id string, rev int64) error {
	c, err := k.Get(ctx, tenantID, id)
	if err != nil {
		return err
	}
	if c.System {
		return fault.New(fault.Denied, "A system client cannot be deleted.", nil)
	}
	if rev != 0 && rev != c.Rev {
		return record.Fault(store.ErrStale, thisClient)
	}
	if err := k.config.changed(ctx, changes.KindRevokeClient, c.Key(), id); err != nil {
		return err
	}
	if err := record.Remove(ctx, k.table, tenantID, id, rev); err != nil {
		return record.Fault(err, thisClient)
	}
	if err := k.config.changed(ctx, changes.KindClient, c.Key(), id); err != nil {
		return err
	}
	if err := k.config.changed(ctx, changes.KindRevokeClient, c.Key(), id); err != nil {
		return err
	}
	return k.config.record(ctx, c.Key(), audit.SubjectClient, audit.ActionDeleted, &c)
}

func (k *Clients) purge(ctx context.Context, key tenant.Key) error {
	var ids []string
	err := k.table.All(ctx, key.Tenant, store.Query{Index: "client_id", Equal: key.Workspace}, func(row store.Row[clientRecord]) bool {
		ids = append(ids, row.ID)
		return true
	})
	for _, id := range ids {
		if gone := k.table.Delete(ctx, key.Tenant, id); gone != nil && !errors.Is(gone, store.ErrNotFound) {
			err = errors.Join(err, gone)
			continue
		}
		err = errors.Join(err, k.config.changed(ctx, changes.KindClient, key, id))
	}
	return err
}
