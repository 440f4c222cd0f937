package tenant

import (
	"encoding/json"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// secrets are the members of a workspace that are sealed at rest.
type secrets struct {
	Secret  string   `json:"secret"`
	Rotated []string `json:"rotated,omitempty"`
	Salt    string   `json:"salt"`
}

// put writes w into a record with its secrets sealed. Epochs stay.
func (k *Workspaces) put(r *workspaceRecord, w Workspace) error {
	raw, err := json.Marshal(secrets{Secret: w.Secret, Rotated: w.RotatedSecrets, Salt: w.SubjectIdentifierSalt})
	if err != nil {
		return fmt.Errorf("secrets of workspace %q: %w", w.ID, err)
	}
	sealed, err := k.config.Ring.Seal(raw, vault.AAD(w.TenantID, "workspaces", w.ID, "secrets"))
	if err != nil {
		return fmt.Errorf("seal secrets of workspace %q: %w", w.ID, err)
	}
	r.Value, r.Extra, r.Secrets = plain(w.Public()), w.Extra, sealed
	return nil
}

// open turns a row into a workspace with its secrets.
func (k *Workspaces) open(row store.Row[workspaceRecord]) (Workspace, error) {
	r := &row.Value
	w := Workspace(r.Value)
	raw, err := k.config.Ring.Open(r.Secrets, vault.AAD(w.TenantID, "workspaces", w.ID, "secrets"))
	if err != nil {
		return Workspace{}, fmt.Errorf("secrets of workspace %q: %w", w.ID, err)
	}
	var s secrets
	if err := json.Unmarshal(raw, &s); err != nil {
		return Workspace{}, fmt.Errorf("secrets of workspace %q: %w", w.ID, err)
	}
	w.Secret, w.RotatedSecrets, w.SubjectIdentifierSalt = s.Secret, s.Rotated, s.Salt
	w.Extra, w.TenantEpoch, w.Epoch, w.Rev = r.Extra, r.TenantEpoch, r.Epoch, row.Rev
	return w, nil
}
