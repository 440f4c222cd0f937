package api

import (
	"context"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

// groupOperations are those of published API 13. Lists of groups are bare arrays.
func (a *API) groupOperations() []operation {
	const all, one = "/pools/:ipID/groups", "/pools/:ipID/groups/:groupID"
	const inside, of = one + "/users", "/pools/:ipID/users/:userID/groups"
	read, write := may(role.ReadIdentityPoolGroups, onPool), may(role.ManageIdentityPoolGroups, onPool)
	both := func(id, method, path string, n need, ok int, tags tagging, run func(*call) (reply, error)) twin {
		return twin{id, id, method, path, n, ok, tags, run}
	}
	return identity([]twin{
		both("listGroups", http.MethodGet, all, read, http.StatusOK, noTag, listGroups),
		both("createGroup", http.MethodPost, all, write, http.StatusCreated, noTag, createGroup),
		both("getGroup", http.MethodGet, one, read, http.StatusOK, noTag, getGroup),
		both("updateGroup", http.MethodPut, one, write, http.StatusOK, noTag, updateGroup),
		both("deleteGroup", http.MethodDelete, one, write, http.StatusNoContent, noTag, deleteGroup),
		both("listUsersInGroup", http.MethodGet, inside, read, http.StatusOK, adminTag, listUsersInGroup),
		both("addUserToGroup", http.MethodPut, inside+"/:userID", write, http.StatusNoContent, noTag, addUserToGroup),
		both("removeUserFromGroup", http.MethodDelete, inside+"/:userID", write, http.StatusNoContent, noTag, removeUserFromGroup),
		both("listUserGroups", http.MethodGet, of, read, http.StatusOK, noTag, listUserGroups),
		both("isUserInGroup", http.MethodGet, of+"/:groupID", read, http.StatusNoContent, noTag, isUserInGroup),
	})
}

// groups replies with a bare array, [] rather than null.
func groups(found []pool.Group, err error) (reply, error) {
	if found == nil {
		found = []pool.Group{}
	}
	return body(found), err
}

// groupFilter reads the parameters that lists of groups share.
func (x *call) groupFilter(nested string) (f pool.GroupFilter, err error) {
	if f.Page, err = x.page("group"); err != nil {
		return f, err
	}
	params, err := x.query()
	if err != nil {
		return f, err
	}
	f.Parent = params.Get("parent_id")
	if f.Query, err = pool.ParseGroupQuery(params.Get("query")); err != nil {
		return f, err
	}
	f.Nested, err = x.flag(nested)
	return f, err
}

func listGroups(x *call) (reply, error) {
	f, err := x.groupFilter("with_nested_groups")
	if err != nil {
		return reply{}, err
	}
	return groups(x.Groups.List(x.ctx, x.owner, x.param("ipID"), f))
}

// listUserGroups lists the groups of a user, by name.
func listUserGroups(x *call) (reply, error) {
	f, err := x.groupFilter("with_parent_groups")
	if err != nil {
		return reply{}, err
	}
	return groups(x.Groups.Of(x.ctx, x.owner, x.param("ipID"), x.param("userID"), f.Nested, f.Query, f.Page))
}

func createGroup(x *call) (reply, error) {
	var in pool.NewGroup
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	made, err := x.Groups.Create(x.ctx, x.owner, x.param("ipID"), in)
	return body(made), err
}

func getGroup(x *call) (reply, error) {
	g, err := x.Groups.Get(x.ctx, x.owner, x.param("ipID"), x.param("groupID"))
	return body(g), err
}

// updateGroup changes the members that are there.
func updateGroup(x *call) (reply, error) {
	var in pool.UpdateGroup
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	old, err := x.Groups.Get(x.ctx, x.owner, x.param("ipID"), x.param("groupID"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	made, err := x.Groups.Update(x.ctx, x.owner, old.UserPoolID, old.ID, rev, in)
	return body(made), err
}

// deleteGroup removes a group that has no others inside: 409 for one that has.
func deleteGroup(x *call) (reply, error) {
	old, err := x.Groups.Get(x.ctx, x.owner, x.param("ipID"), x.param("groupID"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Groups.Delete(x.ctx, x.owner, old.UserPoolID, old.ID, rev)
}

// listUsersInGroup lists by id.
func listUsersInGroup(x *call) (reply, error) {
	page, err := x.page("user")
	if err != nil {
		return reply{}, err
	}
	nested, err := x.flag("with_nested_groups")
	if err != nil {
		return reply{}, err
	}
	found, err := x.Groups.Users(x.ctx, x.owner, x.param("ipID"), x.param("groupID"), nested, page)
	shown := make([]pool.ExtendedUser, len(found))
	for i := range found {
		shown[i] = found[i].Extended()
	}
	return list("users", shown), err
}

func addUserToGroup(x *call) (reply, error) { return x.membership(x.Groups.Add) }

func removeUserFromGroup(x *call) (reply, error) { return x.membership(x.Groups.Remove) }

// membership changes whether the user of the path is in its group.
func (x *call) membership(change func(ctx context.Context, tenant, pool, group, user string) error) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	return reply{}, change(x.ctx, x.owner, x.param("ipID"), x.param("groupID"), x.param("userID"))
}

// isUserInGroup answers no by 404.
func isUserInGroup(x *call) (reply, error) {
	nested, err := x.flag("with_nested_groups")
	if err != nil {
		return reply{}, err
	}
	is, err := x.Groups.Has(x.ctx, x.owner, x.param("ipID"), x.param("groupID"), x.param("userID"), nested)
	if err == nil && !is {
		err = fault.New(fault.NotFound, "The user is not in this group.", nil)
	}
	return reply{}, err
}
