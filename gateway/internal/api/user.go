package api

import (
	"errors"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// userOperations are those of published API 5 but for the business view.
func (a *API) userOperations() []operation {
	const all, one = "/pools/:ipID/users", "/pools/:ipID/users/:userID"
	const ids, addresses, metadata = one + "/identifiers", one + "/addresses", one + "/metadata/:metadataType"
	read, write := may(role.ReadIdentityPoolUsers, onPool), may(role.ManageIdentityPoolUsers, onPool)
	name, reach := may(role.ManageUserIdentifiers, onPool), may(role.ManageUserAddresses, onPool)
	readData, writeData := need{role.B2BReadAdminMetadata, readsMetadata, onPool}, need{role.B2BManageAdminMetadata, writesMetadata, onPool}
	return identity([]twin{
		{"listUsers", "systemListUsers", http.MethodGet, all, read, http.StatusOK, adminTag, listUsers},
		{"createUser", "systemCreateUser", http.MethodPost, all, write, http.StatusCreated, bothTag, createUser},
		{"getUser", "systemGetUser", http.MethodGet, one, read, http.StatusOK, bothTag, getUser},
		{"updateUser", "systemUpdateUser", http.MethodPut, one, write, http.StatusOK, bothTag, updateUser},
		{"deleteUser", "systemDeleteUser", http.MethodDelete, one, write, http.StatusNoContent, systemTag, deleteUser},
		{"", "systemGetUserByKey", http.MethodPost, all + "/by_key", read, http.StatusOK, bothTag, getUserByKey},

		{"addUserIdentifier", "systemAddIdentifier", http.MethodPost, ids + "/add", name, http.StatusOK, bothTag, addIdentifier},
		{"deleteUserIdentifier", "systemDeleteIdentifier", http.MethodPost, ids + "/remove", name, http.StatusNoContent, systemTag, removeIdentifier},
		{"addUserVerifiableAddress", "systemAddVerifiableAddress", http.MethodPost, addresses + "/add", reach, http.StatusOK, bothTag, addAddress},
		{"updateUserVerifiableAddress", "systemUpdateVerifiableAddress", http.MethodPost, addresses + "/update", reach, http.StatusOK, bothTag, updateAddress},
		{"deleteUserVerifiableAddress", "systemDeleteVerifiableAddress", http.MethodPost, addresses + "/remove", reach, http.StatusNoContent, systemTag, removeAddress},

		{"getUserMetadata", "", http.MethodGet, metadata, readData, http.StatusOK, bothTag, getMetadata},
		{"setUserMetadata", "", http.MethodPut, metadata, writeData, http.StatusOK, bothTag, setMetadata},
	})
}

// listUsers lists by id; nothing else is published to sort by.
func listUsers(x *call) (reply, error) {
	page, err := x.page("user")
	if err != nil {
		return reply{}, err
	}
	if _, err := web.ParseSort(x.c, "id"); err != nil {
		return reply{}, err
	}
	params, err := x.query()
	if err != nil {
		return reply{}, err
	}
	q, err := pool.ParseQuery(params.Get("query"))
	if err != nil {
		return reply{}, err
	}
	found, err := x.Users.List(x.ctx, x.owner, x.param("ipID"), q, page)
	if err != nil {
		return reply{}, err
	}
	shown := make([]pool.ExtendedUser, len(found))
	for i := range found {
		shown[i] = found[i].Extended()
	}
	return list("users", shown), nil
}

// user returns the user of the path.
func (x *call) user() (pool.User, error) {
	return x.Users.Get(x.ctx, x.owner, x.param("ipID"), x.param("userID"))
}

// shown replies with the full view of a user.
func shown(u *pool.User) reply { return reply{body: u.WithData(), rev: u.Rev} }

func getUser(x *call) (reply, error) {
	u, err := x.user()
	return shown(&u), err
}

// getUserByKey finds a user by an identifier or a verified address.
func getUserByKey(x *call) (reply, error) {
	var in struct {
		Identifier string `json:"identifier"`
		Address    string `json:"address"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	u, err := x.Users.Find(x.ctx, x.owner, x.param("ipID"), pool.Key{Identifier: in.Identifier, Address: in.Address})
	return shown(&u), err
}

func createUser(x *call) (reply, error) {
	var in pool.NewUser
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	p, err := x.Pools.Get(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	none := pool.User{MetadataSchemaID: p.MetadataSchemaID, BusinessMetadataSchemaID: p.BusinessMetadataSchemaID}
	if err := x.mayWriteData(&in.Documents, &none); err != nil {
		return reply{}, err
	}
	if err := x.coversPool(p.ID); err != nil {
		return reply{}, err
	}
	u, err := x.Users.Create(x.ctx, x.owner, p.ID, in)
	return shown(&u), err
}

// updateUser changes the members that are there. A status other than active ends
// what the user has signed in to.
func updateUser(x *call) (reply, error) {
	var in pool.UpdateUser
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	old, err := x.user()
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	if err := x.mayWriteData(&in.Documents, &old); err != nil {
		return reply{}, err
	}
	ends := in.Status != "" && in.Status != pool.StatusActive
	if in.Status != "" && in.Status != old.Status { // letting somebody in again decides on their roles as keeping them out does
		if err := errors.Join(x.coversRoles(&old), x.coversPool(old.PoolID)); err != nil {
			return reply{}, err
		}
	}
	u, err := x.Users.Update(x.ctx, x.owner, old.PoolID, old.ID, rev, in)
	if err == nil && ends {
		err = x.Signin.EndUser(x.ctx, x.owner, old.PoolID, old.ID)
	}
	return shown(&u), err
}

// deleteUser removes a user with their roles and what they have signed in to.
func deleteUser(x *call) (reply, error) {
	u, err := x.user()
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(u.Rev)
	if err != nil {
		return reply{}, err
	}
	if err := x.coversRoles(&u); err != nil {
		return reply{}, err
	}
	if err := x.Users.Delete(x.ctx, x.owner, u.PoolID, u.ID, rev); err != nil {
		return reply{}, err
	}
	if err := x.Signin.EndUser(x.ctx, x.owner, u.PoolID, u.ID); err != nil {
		return reply{}, err
	}
	return reply{}, x.Roles.Forget(x.ctx, role.User(x.owner, u.PoolID, u.ID, u.Epoch))
}

func getMetadata(x *call) (reply, error) {
	m, err := x.Users.Metadata(x.ctx, x.owner, x.param("ipID"), x.param("userID"), x.param("metadataType"))
	return reply{body: m, rev: m.Rev}, err
}

func setMetadata(x *call) (reply, error) {
	var in pool.UserMetadata
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	kind := x.param("metadataType")
	old, err := x.Users.Metadata(x.ctx, x.owner, x.param("ipID"), x.param("userID"), kind)
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	m, err := x.Users.SetMetadata(x.ctx, x.owner, x.param("ipID"), x.param("userID"), kind, rev, in.Metadata)
	if fault.Is(err, fault.Unprocessable) && kind == pool.MetadataBusiness {
		err = renamed(err, "business_metadata", "metadata") // what this body calls it
	}
	return reply{body: m, rev: m.Rev}, err
}
