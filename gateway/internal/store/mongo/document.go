package mongo

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// document is a record as it lies in a collection.
type document struct {
	ID      string            `bson:"_id"`
	Tenant  string            `bson:"tenant"`
	Rev     int64             `bson:"rev"`
	Version int64             `bson:"version"`
	Expires *bson.DateTime    `bson:"expires,omitempty"`
	Due     *bson.DateTime    `bson:"due,omitempty"`
	Index   map[string]keyDoc `bson:"ix,omitempty"`
	Value   bson.RawValue     `bson:"value"`
}

type keyDoc struct {
	Equal string `bson:"equal"`
	Order string `bson:"order"`
}

// escaper keeps a tenant from reaching beyond its part of an _id.
var escaper = strings.NewReplacer("%", "%25", "/", "%2F")

// scope is what the _ids of a tenant begin with. The id follows it as it is, so
// _ids of a tenant sort as its ids do.
func scope(tenant string) string { return escaper.Replace(tenant) + "/" }

func dateOf(t time.Time) *bson.DateTime {
	if t.IsZero() {
		return nil
	}
	date := date(t)
	return &date
}

// date is t in whole milliseconds, rounded towards the past.
func date(t time.Time) bson.DateTime { return bson.DateTime(t.UnixMilli()) }

func timeOf(date *bson.DateTime) time.Time {
	if date == nil {
		return time.Time{}
	}
	return date.Time().UTC()
}

// encode turns a record into a document's bytes.
func (d *Driver) encode(rec store.Record) (bson.Raw, error) {
	value, err := d.codec.encode(reflect.ValueOf(rec.Value).Elem())
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	member, err := rawValue(value)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	doc := document{
		ID: scope(rec.Tenant) + rec.ID, Tenant: rec.Tenant, Rev: rec.Rev, Version: int64(rec.Version),
		Expires: dateOf(rec.Expires), Due: dateOf(rec.Due), Value: member,
	}
	if len(rec.Keys) > 0 {
		doc.Index = make(map[string]keyDoc, len(rec.Keys))
		for name, key := range rec.Keys {
			doc.Index[name] = keyDoc(key)
		}
	}
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(raw) > store.MaxRecord {
		return nil, store.ErrTooLarge
	}
	return raw, nil
}

// rawValue is what encode returned, as bytes.
func rawValue(value any) (bson.RawValue, error) {
	if value == nil {
		return bson.RawValue{Type: bson.TypeNull}, nil
	}
	kind, bytes, err := bson.MarshalValue(value)
	return bson.RawValue{Type: kind, Value: bytes}, err
}

// record turns a document into a record. Its value is decoded when asked for.
func (d *Driver) record(doc *document) store.Record {
	_, id, _ := strings.Cut(doc.ID, "/")
	rec := store.Record{
		Tenant: doc.Tenant, ID: id, Rev: doc.Rev, Version: int(doc.Version),
		Expires: timeOf(doc.Expires), Due: timeOf(doc.Due),
		Decode: func(into any) error { return d.codec.decode(doc.Value, reflect.ValueOf(into).Elem()) },
	}
	if len(doc.Index) > 0 {
		rec.Keys = make(map[string]store.Key, len(doc.Index))
		for name, key := range doc.Index {
			rec.Keys[name] = store.Key(key)
		}
	}
	return rec
}
