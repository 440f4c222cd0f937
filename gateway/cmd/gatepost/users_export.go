package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// exported is what CSV shows of a user.
type exported struct {
	ID          string                     `json:"id"`
	ExternalID  string                     `json:"external_id"`
	Status      string                     `json:"status"`
	Payload     map[string]json.RawMessage `json:"payload"`
	Groups      []string                   `json:"groups"`
	Identifiers []struct {
		Type       string `json:"type"`
		Identifier string `json:"identifier"`
	} `json:"identifiers"`
	Addresses []struct {
		Address  string `json:"address"`
		Verified bool   `json:"verified"`
	} `json:"verifiable_addresses"`
	Credentials []struct {
		Type  string `json:"type"`
		Hash  string `json:"hashed_password"`
		State string `json:"state"`
	} `json:"credentials"`
}

// exportCSV writes the users twice read: first to know the columns.
func exportCSV(ctx context.Context, from *people, secrets bool, out, notes io.Writer) error {
	members := map[string]bool{}
	err := eachUser(ctx, from, false, func(u *exported) error {
		for name := range u.Payload {
			if !slices.Contains([]string{"given_name", "family_name", "name"}, name) {
				members[name] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	columns := slices.Clone(csvColumns)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		columns = append(columns, payloadColumn+name)
	}
	w := csv.NewWriter(out)
	if err := w.Write(columns); err != nil {
		return err
	}
	partly := 0
	err = eachUser(ctx, from, secrets, func(u *exported) error {
		values, all := u.columns()
		if !all {
			partly++
		}
		record := make([]string, len(columns))
		for i, name := range columns {
			record[i] = values[name]
		}
		return w.Write(record)
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	if err == nil && partly > 0 {
		_, err = fmt.Fprintf(notes, "%d users have more than CSV holds, such as a second address, TOTP or a passkey: ndjson has it all\n", partly)
	}
	return err
}

func eachUser(ctx context.Context, from *people, secrets bool, yield func(*exported) error) error {
	return from.pages(ctx, secrets, func(page []byte) error {
		for line := range bytes.Lines(page) {
			var u exported
			if err := json.Unmarshal(line, &u); err != nil {
				return err
			}
			if err := yield(&u); err != nil {
				return err
			}
		}
		return nil
	})
}

// columns returns the user by columns, and whether that is all of it.
func (u *exported) columns() (map[string]string, bool) {
	v := map[string]string{"external_id": u.ExternalID, "status": u.Status, "groups": strings.Join(u.Groups, ";")}
	if u.ExternalID == "" {
		v["external_id"] = u.ID // so that an import can be repeated
	}
	all := true
	put := func(column, text string) {
		if _, there := v[column]; there {
			all = false
			return
		}
		v[column] = text
	}
	for _, i := range u.Identifiers {
		switch i.Type {
		case "email":
			put("email", i.Identifier)
		case "mobile":
			put("phone", i.Identifier)
		case "uid":
			put("username", i.Identifier)
		default:
			all = false
		}
	}
	verified := len(u.Addresses) > 0
	for _, a := range u.Addresses {
		verified = verified && a.Verified
		all = all && (a.Address == v["email"] || a.Address == v["phone"])
	}
	v["verified"] = fmt.Sprint(verified)
	for _, c := range u.Credentials {
		if c.Type != "password" {
			all = false
			continue
		}
		v["hashed_password"], v["password_state"] = c.Hash, c.State
	}
	return v, u.payloadColumns(v) && all
}

// payloadColumns adds the payload, and tells whether that is all of it.
func (u *exported) payloadColumns(v map[string]string) bool {
	all := true
	for name, raw := range u.Payload {
		text := ""
		if json.Unmarshal(raw, &text) != nil {
			all = false
			continue
		}
		if !slices.Contains([]string{"given_name", "family_name", "name"}, name) {
			name = payloadColumn + name
		}
		v[name] = text
	}
	return all
}
