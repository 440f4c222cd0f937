package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

// coversRoles refuses callers who could not have granted every role of a user:
// who takes the user's place, or the user away, decides on these.
func (x *call) coversRoles(u *pool.User) error {
	if !x.op.roles() {
		return nil
	}
	return x.coversAll([]role.Subject{role.User(x.owner, u.PoolID, u.ID, u.Epoch)})
}

// readsMetadata and writesMetadata are what an operation on one metadata object
// needs.
func readsMetadata(x *call) (role.Permission, error) {
	if x.param("metadataType") == pool.MetadataBusiness {
		return role.B2BReadBusinessMetadata, nil
	}
	return role.B2BReadAdminMetadata, nil
}

func writesMetadata(x *call) (role.Permission, error) {
	if x.param("metadataType") == pool.MetadataBusiness {
		return role.B2BManageBusinessMetadata, nil
	}
	return role.B2BManageAdminMetadata, nil
}

// mayWriteData refuses a change of metadata that the caller could not make by
// the operation for that. What is sent back as it was is no change.
func (x *call) mayWriteData(in *pool.Documents, old *pool.User) error {
	if !x.op.roles() {
		return nil
	}
	for _, m := range []struct {
		need      role.Permission
		raw, had  json.RawMessage
		id, hadID string
	}{
		{role.B2BManageAdminMetadata, in.Metadata, old.Metadata, in.MetadataSchemaID, old.MetadataSchemaID},
		{role.B2BManageBusinessMetadata, in.BusinessMetadata, old.BusinessMetadata, in.BusinessMetadataSchemaID, old.BusinessMetadataSchemaID},
	} {
		if (m.id == "" || m.id == m.hadID) && sameObject(m.raw, m.had) {
			continue
		}
		ok, err := x.can(m.need, x.on)
		if err != nil {
			return err
		}
		if !ok {
			return denied("This change of metadata needs the permission " + string(m.need) + ".")
		}
	}
	return nil
}

// sameObject tells whether an object that is sent leaves what was there: it is
// missing, or says the same.
func sameObject(sent, had json.RawMessage) bool {
	now, err := object(sent)
	if err != nil {
		return false
	}
	was, err := object(had)
	return err == nil && (now == nil || len(now) == 0 && len(was) == 0 || reflect.DeepEqual(now, was))
}

// object reads an object, keeping the text of numbers; nil for none.
func object(raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := d.Decode(&m)
	return m, err
}

// renamed makes an error about a member name it as this body does.
func renamed(err error, from, to string) error {
	e := *fault.Read(err)
	if rest, ok := strings.CutPrefix(e.Field, from); ok {
		e.Field = to + rest
	}
	return &e
}
