package promote

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// place puts an entry's place before the member that an error names.
func place(list string, i int, err error) error {
	bad, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	named := *bad
	named.Field = strings.TrimSuffix(fmt.Sprintf("%s[%d].%s", list, i, bad.Field), ".")
	return &named
}

// named turns NotFound into Unprocessable of the member that refers to nothing.
func named(err error, member, say string) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return fault.At(fault.Unprocessable, member, say)
}

// renameCredentials makes an error about an entry of a user name its place in the
// dump, where entries of all users stand in one list: users[1].credentials[0] may
// be user_credentials[5].
func renameCredentials(d *TenantDump, in pool.Dump, err error) error {
	bad, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	user, rest, ok := strings.Cut(strings.TrimPrefix(bad.Field, "users["), "].")
	i, notNumber := strconv.Atoi(user)
	if !ok || notNumber != nil || i >= len(in.Users) {
		return err
	}
	who := in.Users[i].PoolID + "/" + in.Users[i].ID
	for list, inDump := range map[string]struct {
		name string
		of   func() []of
	}{
		"identifiers[":          {"user_identifiers", func() []of { return owners(d.UserIdentifiers, func(v *Identifier) of { return v.of }) }},
		"verifiable_addresses[": {"user_verifiable_addresses", func() []of { return owners(d.UserAddresses, func(v *Address) of { return v.of }) }},
		"credentials[":          {"user_credentials", func() []of { return owners(d.UserCredentials, func(v *Credential) of { return v.of }) }},
	} {
		after, ok := strings.CutPrefix(rest, list)
		if !ok {
			continue
		}
		number, member, _ := strings.Cut(after, "].")
		n, _ := strconv.Atoi(number)
		for j, o := range inDump.of() {
			if o.user() != who {
				continue
			}
			if n == 0 {
				named := *bad
				named.Field = strings.TrimSuffix(fmt.Sprintf("%s[%d].%s", inDump.name, j, member), ".")
				return &named
			}
			n--
		}
	}
	return err
}

// owners returns whose each entry is.
func owners[T any](list []T, whose func(*T) of) []of {
	out := make([]of, len(list))
	for i := range list {
		out[i] = whose(&list[i])
	}
	return out
}
