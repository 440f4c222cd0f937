package api

import (
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// What identifies or reaches a user. The answers that carry a tag carry none of
// the user's revisions: it stands for the position alone.

func addIdentifier(x *call) (reply, error) {
	var in pool.NewUserIdentifier
	if err := x.changesName(&in); err != nil {
		return reply{}, err
	}
	made, err := x.Users.AddIdentifier(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in)
	return body(made), err
}

func removeIdentifier(x *call) (reply, error) {
	var in struct {
		Identifier string `json:"identifier"`
	}
	if err := x.changesName(&in); err != nil {
		return reply{}, err
	}
	u, err := x.Users.RemoveIdentifier(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in.Identifier)
	return reply{rev: u.Rev}, err
}

func addAddress(x *call) (reply, error) {
	var in pool.NewUserVerifiableAddress
	if err := x.changesName(&in); err != nil {
		return reply{}, err
	}
	made, err := x.Users.AddAddress(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in)
	return body(made), err
}

func updateAddress(x *call) (reply, error) {
	var in pool.UpdateAddress
	if err := x.changesName(&in); err != nil {
		return reply{}, err
	}
	made, err := x.Users.UpdateAddress(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in)
	return body(made), err
}

func removeAddress(x *call) (reply, error) {
	var in struct {
		Address string `json:"address"`
	}
	if err := x.changesName(&in); err != nil {
		return reply{}, err
	}
	u, err := x.Users.RemoveAddress(x.ctx, x.owner, x.param("ipID"), x.param("userID"), in.Address)
	return reply{rev: u.Rev}, err
}

// changesName reads the body of an operation that may give a user a name of the
// caller's choice, or take one away. Codes that reset passwords go to such names,
// and federated ones sign in by themselves, so the caller could become that user;
// and a name that was taken away is free for another user.
func (x *call) changesName(into any) error {
	if err := x.decode(into); err != nil {
		return err
	}
	if !x.op.roles() {
		return nil
	}
	u, err := x.user()
	if err != nil {
		return err
	}
	if err := x.coversRoles(&u); err != nil {
		return err
	}
	return x.coversPool(u.PoolID)
}
