package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// keyOperations are those of published API 22. Besides the published uses of keys
// there is "assertion": the keys of what the proxy tells apps.
func (a *API) keyOperations() []operation {
	const all = "/api/admin/:tid/servers/:wid/keys"
	const automatic = all + "/automatic-key-rotation"
	read, manage := string(role.GetWorkspace), string(role.UpdateWorkspace)
	return []operation{
		{
			id: "getKeys", method: http.MethodGet, path: all, family: admin,
			allow: read, on: onWorkspace, ok: http.StatusOK, etag: true, run: getKeys,
		},
		{
			id: "getKey", method: http.MethodGet, path: all + "/:kid/raw", family: admin,
			allow: read, on: onWorkspace, ok: http.StatusOK, etag: true, run: getKey,
		},
		{
			id: "rotateKey", method: http.MethodPost, path: all + "/rotate", family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusOK, etag: true, once: true, run: rotateKey,
		},
		{
			id: "revokeKey", method: http.MethodPost, path: all + "/revoke/:kid", family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusOK, etag: true, once: true, run: revokeKey,
		},
		{
			id: "getAutomaticKeyRotation", method: http.MethodGet, path: automatic, family: admin,
			allow: read, on: onWorkspace, ok: http.StatusOK, etag: true, run: getAutomaticRotation,
		},
		{
			id: "setAutomaticKeyRotation", method: http.MethodPut, path: automatic, family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusOK, etag: true, run: setAutomaticRotation,
		},
	}
}

// useEncryption is published and has no keys: nothing is encrypted here.
const useEncryption = "enc"

// keyring is the workspace of the path as an issuer, and the use that the query
// names.
func (x *call) keyring() (w token.Workspace, use string, err error) {
	q, err := x.query()
	if err != nil {
		return w, "", err
	}
	if use = q.Get("use"); use == "" {
		use = token.UseSig
	}
	if err := choice("use", use, token.UseSig, token.UseAssertion, useEncryption); err != nil {
		return w, "", err
	}
	found, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	return token.Workspace{Tenant: found.TenantID, ID: found.ID, Epoch: found.Epoch, KeyType: found.KeyType}, use, err
}

// signing is keyring for what needs keys.
func (x *call) signing() (token.Workspace, string, error) {
	w, use, err := x.keyring()
	if err == nil && use == useEncryption {
		err = fault.At(fault.Invalid, "use", "must be sig or assertion: nothing is encrypted here")
	}
	return w, use, err
}

func choice(field, value string, allowed ...string) error {
	if err := record.OneOf(field, value, allowed); err != nil {
		return fault.At(fault.Invalid, field, fault.Read(err).Public)
	}
	return nil
}

// keyView is the published type ServerJWK: a public JWK and when it was made.
func keyView(k token.Listed) (json.RawMessage, error) {
	if k.KID == "" {
		return nil, nil
	}
	about, err := json.Marshal(map[string]time.Time{"created_at": k.Created})
	if err != nil {
		return nil, err
	}
	return record.Join(k.Public, about)
}

// keysView is the published type KeysResponse; other_keys is ours: keys of
// algorithms that only some clients asked for.
type keysView struct {
	Current json.RawMessage   `json:"current_key,omitempty"`
	Next    json.RawMessage   `json:"next_key,omitempty"`
	Rotated []json.RawMessage `json:"rotated_keys"`
	Revoked []json.RawMessage `json:"revoked_keys"`
	Others  []json.RawMessage `json:"other_keys,omitempty"`
}

func getKeys(x *call) (reply, error) {
	w, use, err := x.keyring()
	if err != nil {
		return reply{}, err
	}
	view := keysView{Rotated: []json.RawMessage{}, Revoked: []json.RawMessage{}}
	if use == useEncryption {
		return body(view), nil
	}
	all, err := x.Signin.Tokens.List(x.ctx, w, use)
	if err != nil {
		return reply{}, err
	}
	for _, part := range []struct {
		keys []token.Listed
		put  func(json.RawMessage)
	}{
		{[]token.Listed{all.Current}, func(v json.RawMessage) { view.Current = v }},
		{[]token.Listed{all.Next}, func(v json.RawMessage) { view.Next = v }},
		{all.Rotated, func(v json.RawMessage) { view.Rotated = append(view.Rotated, v) }},
		{all.Revoked, func(v json.RawMessage) { view.Revoked = append(view.Revoked, v) }},
		{all.Others, func(v json.RawMessage) { view.Others = append(view.Others, v) }},
	} {
		for _, k := range part.keys {
			v, err := keyView(k)
			if err != nil {
				return reply{}, err
			}
			part.put(v)
		}
	}
	return body(view), nil
}

// getKey shows one key of any use that is published, the published type
// ClientJWK.
func getKey(x *call) (reply, error) {
	w, _, err := x.keyring()
	if err != nil {
		return reply{}, err
	}
	for _, use := range []string{token.UseSig, token.UseAssertion} {
		all, err := x.Signin.Tokens.List(x.ctx, w, use)
		if err != nil {
			return reply{}, err
		}
		for _, k := range all.Verifying() {
			if k.KID == x.param("kid") {
				return body(k.Public), nil
			}
		}
	}
	return reply{}, fault.New(fault.NotFound, "There is no such key.", nil)
}

func rotateKey(x *call) (reply, error) {
	w, use, err := x.signing()
	if err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	keyType := q.Get("key_type")
	if err := choice("key_type", keyType, "", "rsa", "ecdsa", "ps"); err != nil {
		return reply{}, err
	}
	return keyReply(x.Signin.Tokens.Rotate(x.ctx, w, use, keyType))
}

func revokeKey(x *call) (reply, error) {
	w, use, err := x.signing()
	if err != nil {
		return reply{}, err
	}
	return keyReply(x.Signin.Tokens.Revoke(x.ctx, w, use, x.param("kid")))
}

func keyReply(k token.Listed, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	view, err := keyView(k)
	return body(view), err
}

func getAutomaticRotation(x *call) (reply, error) {
	w, use, err := x.signing()
	if err != nil {
		return reply{}, err
	}
	a, err := x.Signin.Tokens.Automatic(x.ctx, w, use)
	return body(a), err
}

func setAutomaticRotation(x *call) (reply, error) {
	w, use, err := x.signing()
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Enabled      *bool     `json:"enabled"`
		Cron         *string   `json:"cron"`
		StartingFrom time.Time `json:"starting_from"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	switch {
	case in.Enabled == nil:
		return reply{}, fault.At(fault.Invalid, "enabled", "is required")
	case in.Cron == nil:
		return reply{}, fault.At(fault.Invalid, "cron", "is required")
	}
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	a, err := x.Signin.Tokens.SetAutomatic(x.ctx, w, use, token.Automatic{Enabled: *in.Enabled, Cron: *in.Cron, StartingFrom: in.StartingFrom})
	return body(a), err
}
