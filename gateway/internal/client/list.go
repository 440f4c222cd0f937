package client

import (
	"context"
	"errors"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Filter selects clients of one workspace.
type Filter struct {
	Search           string     // in id or name, whatever the case
	Type             string     // internal, third_party or empty for both
	ApplicationTypes []string   // one of them suffices; empty: all
	ClientTypes      []string   // empty: all
	Sort             string     // client_id (also when empty), name or issued_at
	Page             store.Page // cursors are client ids
}

func (f *Filter) check() error {
	if err := record.OneOf("type", f.Type, []string{"", "internal", "third_party"}); err != nil {
		return err
	}
	if err := record.OneOf("sort", f.Sort, []string{"", "client_id", "name", "issued_at"}); err != nil {
		return err
	}
	for _, t := range f.ApplicationTypes {
		if err := record.OneOf("application_types", t, applicationTypes); err != nil {
			return err
		}
	}
	for _, t := range f.ClientTypes {
		if err := record.OneOf("client_types", t, clientTypes); err != nil {
			return err
		}
	}
	return nil
}

// keeps: a developer's or a self-registered client is a third party's.
func (f *Filter) keeps(c *plain) bool {
	third := c.DeveloperID != "" || c.DynamicallyRegistered
	return record.Matches(f.Search, c.ClientID, c.ClientName) &&
		(f.Type == "" || third == (f.Type == "third_party")) &&
		(len(f.ClientTypes) == 0 || slices.Contains(f.ClientTypes, c.ClientType)) &&
		(len(f.ApplicationTypes) == 0 || slices.ContainsFunc(f.ApplicationTypes, func(t string) bool { return slices.Contains(c.ApplicationTypes, t) }))
}

// List returns a page of a workspace's clients without secrets in the clear.
func (k *Clients) List(ctx context.Context, key tenant.Key, f Filter) ([]Client, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	w, err := k.config.Workspace(ctx, key)
	if err != nil {
		return nil, err
	}
	index := f.Sort
	if index == "" {
		index = "client_id"
	}
	rows, err := record.Pick(ctx, k.table, key.Tenant, store.Query{Index: index, Equal: key.Workspace}, f.Page,
		func(r *clientRecord) bool { return r.belongs(&w) && f.keeps(&r.Value) })
	if err != nil {
		return nil, err
	}
	list := make([]Client, len(rows))
	for i, row := range rows {
		if list[i], err = load(row); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// All returns every client of a workspace by id, without secrets in the clear.
func (k *Clients) All(ctx context.Context, key tenant.Key) ([]Client, error) {
	w, err := k.config.Workspace(ctx, key)
	if err != nil {
		return nil, err
	}
	list := []Client{}
	var bad error
	err = k.table.All(ctx, key.Tenant, store.Query{Index: "client_id", Equal: key.Workspace}, func(row store.Row[clientRecord]) bool {
		if !row.Value.belongs(&w) {
			return true
		}
		var c Client
		if c, bad = load(row); bad == nil {
			list = append(list, c)
		}
		return bad == nil
	})
	return list, errors.Join(err, bad)
}
