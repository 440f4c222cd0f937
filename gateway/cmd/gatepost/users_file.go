package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// userRow is a row of a file of users: a line of JSON, or why it is none.
type userRow struct {
	number int // of the line, or of the CSV record with the header as 1
	line   []byte
	wrong  string
}

// maxRow is the most bytes of a row.
const maxRow = 512 << 10

// bom is how some programs begin a text file.
var bom = []byte("\xef\xbb\xbf")

// userRows reads a file of users; next returns io.EOF at its end.
func userRows(r io.Reader, isCSV bool) (next func() (userRow, error), err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	if head, _ := in.Peek(len(bom)); bytes.Equal(head, bom) {
		_, _ = in.Discard(len(bom)) // they are in the buffer
	}
	if isCSV {
		return csvRows(in)
	}
	number := 0
	return func() (userRow, error) {
		for {
			line, err := in.ReadBytes('\n')
			number++
			line = bytes.TrimSpace(line)
			if len(line) == 0 {
				if err != nil {
					return userRow{}, err
				}
				continue
			}
			row := userRow{number: number, line: line}
			if len(line) > maxRow {
				row.line, row.wrong = nil, "the line is too long"
			} else if bytes.ContainsRune(line, '\r') {
				row.line, row.wrong = nil, "is not one JSON object a line"
			}
			return row, nil
		}
	}, nil
}

// The columns of CSV beside payload.MEMBER.
var csvColumns = []string{
	"email", "phone", "username", "external_id", "given_name", "family_name", "name", "status",
	"hashed_password", "password_state", "verified", "groups",
}

const payloadColumn = "payload."

func csvRows(in io.Reader) (func() (userRow, error), error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first row must name the columns")
	}
	if err != nil {
		return nil, err
	}
	columns := make([]string, len(header))
	for i, name := range header {
		name = strings.TrimSpace(name)
		_, isPayload := strings.CutPrefix(name, payloadColumn)
		if !isPayload && !slices.Contains(csvColumns, name) || name == payloadColumn {
			return nil, fmt.Errorf("column %q is not known: there are %s and payload.MEMBER", name, strings.Join(csvColumns, ", "))
		}
		if slices.Contains(columns[:i], name) {
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		columns[i] = name
	}
	number := 1
	return func() (userRow, error) {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return userRow{}, io.EOF
		}
		number++
		row := userRow{number: number}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			row.wrong = bad.Err.Error()
			return row, nil
		}
		if err != nil {
			return row, err
		}
		values := map[string]string{}
		for i, v := range record {
			if v = strings.TrimSpace(v); v != "" {
				values[columns[i]] = v
			}
		}
		row.line, err = csvUser(values)
		if err != nil {
			row.wrong = err.Error()
		}
		return row, nil
	}, nil
}

// csvUser makes a line of JSON of a record. Empty columns are as if missing.
func csvUser(v map[string]string) ([]byte, error) {
	user := map[string]any{}
	if err := csvNames(v, user); err != nil {
		return nil, err
	}
	for _, member := range []string{"external_id", "status"} {
		if v[member] != "" {
			user[member] = v[member]
		}
	}
	if payload := csvPayload(v); len(payload) > 0 {
		user["payload"] = payload
	}
	switch {
	case v["hashed_password"] != "":
		c := map[string]any{"type": "password", "hashed_password": v["hashed_password"]}
		if v["password_state"] != "" {
			c["state"] = v["password_state"]
		}
		user["credentials"] = []any{c}
	case v["password_state"] != "":
		return nil, errors.New("password_state needs a hashed_password")
	}
	var groups []string
	for name := range strings.SplitSeq(v["groups"], ";") {
		if name = strings.TrimSpace(name); name != "" {
			groups = append(groups, name)
		}
	}
	if len(groups) > 0 {
		user["groups"] = groups
	}
	return json.Marshal(user)
}

// csvNames gives a user identifiers and addresses.
func csvNames(v map[string]string, user map[string]any) error {
	verified := false
	if text := v["verified"]; text != "" {
		var err error
		if verified, err = strconv.ParseBool(strings.ToLower(text)); err != nil {
			return errors.New("verified must be true or false")
		}
	}
	var ids, addresses []map[string]any
	for _, c := range []struct{ column, kind string }{{"email", "email"}, {"phone", "mobile"}, {"username", "uid"}} {
		text := v[c.column]
		if text == "" {
			continue
		}
		ids = append(ids, map[string]any{"identifier": text, "type": c.kind})
		if c.kind != "uid" {
			addresses = append(addresses, map[string]any{"address": text, "type": c.kind, "verified": verified})
		}
	}
	user["identifiers"], user["verifiable_addresses"] = ids, addresses
	return nil
}

// csvPayload is the payload of a user; without a name it is that of the parts.
func csvPayload(v map[string]string) map[string]any {
	payload := map[string]any{}
	for name, text := range v {
		if member, ok := strings.CutPrefix(name, payloadColumn); ok {
			payload[member] = text
		}
	}
	for _, member := range []string{"given_name", "family_name", "name"} {
		if v[member] != "" {
			payload[member] = v[member]
		}
	}
	if v["name"] == "" && v["given_name"] != "" && v["family_name"] != "" {
		payload["name"] = v["given_name"] + " " + v["family_name"]
	}
	return payload
}
