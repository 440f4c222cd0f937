package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// layout is the first byte of every row, for the day when rows look otherwise.
const layout = 1

var errRow = errors.New("the store file is damaged: a row cannot be read")

// row is a record as it lies in the file:
//
//	layout, revision, version, expires, due, length of keys, keys, JSON
//
// Numbers are varints, times milliseconds since 1970, and keys a list of name,
// equal, order, each after its length.
type row struct {
	rev     int64
	version int
	expires int64
	due     int64
	keys    []byte
	json    []byte
}

// entry is a record on its way into the file.
type entry struct {
	tenant, id   string
	key          []byte
	expires, due int64
	keys         map[string]store.Key
	bytes        []byte
}

// encode turns a record into an entry. It runs in the caller's goroutine, so
// the writer only moves bytes.
func encode(rec store.Record) (entry, error) {
	e := entry{
		tenant: rec.Tenant, id: rec.ID, key: rowKey(rec.Tenant, rec.ID),
		expires: millis(rec.Expires), due: millis(rec.Due), keys: rec.Keys,
	}
	var keys []byte
	for _, name := range slices.Sorted(maps.Keys(rec.Keys)) {
		for _, part := range []string{name, rec.Keys[name].Equal, rec.Keys[name].Order} {
			keys = binary.AppendUvarint(keys, uint64(len(part)))
			keys = append(keys, part...)
		}
	}
	b := append(make([]byte, 0, 512), layout)
	b = binary.AppendVarint(b, rec.Rev)
	b = binary.AppendVarint(b, int64(rec.Version))
	b = binary.AppendVarint(b, e.expires)
	b = binary.AppendVarint(b, e.due)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	buf := bytes.NewBuffer(append(b, keys...))
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false) // raw JSON members stay as they were written
	if err := enc.Encode(rec.Value); err != nil {
		return e, fmt.Errorf("encode: %w", err)
	}
	if buf.Len() > store.MaxRecord {
		return e, store.ErrTooLarge
	}
	e.bytes = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	return e, nil
}

// parse reads a row. Its slices point into b.
func parse(b []byte) (row, error) {
	if len(b) == 0 || b[0] != layout {
		return row{}, errRow
	}
	var numbers [4]int64
	b = b[1:]
	for i := range numbers {
		v, n := binary.Varint(b)
		if n <= 0 {
			return row{}, errRow
		}
		numbers[i], b = v, b[n:]
	}
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return row{}, errRow
	}
	b = b[n:]
	return row{
		rev: numbers[0], version: int(numbers[1]), expires: numbers[2], due: numbers[3],
		keys: b[:size], json: b[size:],
	}, nil
}

// index reads the row's keys.
func (r row) index() (map[string]store.Key, error) {
	if len(r.keys) == 0 {
		return nil, nil
	}
	keys := map[string]store.Key{}
	b := r.keys
	for len(b) > 0 {
		var parts [3]string
		for i := range parts {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return nil, errRow
			}
			parts[i], b = string(b[n:n+int(size)]), b[n+int(size):]
		}
		keys[parts[0]] = store.Key{Equal: parts[1], Order: parts[2]}
	}
	return keys, nil
}

// record copies the row out of the file's memory, which is valid in the
// transaction only.
func (r row) record(tenant, id string, keys map[string]store.Key) store.Record {
	value := bytes.Clone(r.json)
	return store.Record{
		Tenant: tenant, ID: id, Rev: r.rev, Version: r.version,
		Expires: timeOf(r.expires), Due: timeOf(r.due), Keys: keys,
		Decode: func(into any) error { return json.Unmarshal(value, into) },
	}
}
