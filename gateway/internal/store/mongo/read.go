package mongo

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Get returns the live record.
func (d *Driver) Get(ctx context.Context, table, tenant, id string, now time.Time) (store.Record, error) {
	var doc document
	err := d.db.Collection(table).FindOne(ctx, byID(tenant, id)).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, d.failure(ctx, err)
	}
	if doc.Expires != nil && *doc.Expires <= date(now) {
		return store.Record{}, store.ErrNotFound
	}
	return d.record(&doc), nil
}

// Scan returns live records in order.
func (d *Driver) Scan(ctx context.Context, table string, s store.Scan) ([]store.Record, error) {
	filter, sort := query(s)
	return d.find(ctx, table, filter, options.Find().SetSort(sort).SetLimit(int64(s.Limit)))
}

// Count returns the number of records that Scan would return without a limit.
func (d *Driver) Count(ctx context.Context, table string, s store.Scan) (int, error) {
	filter, _ := query(s)
	n, err := d.db.Collection(table).CountDocuments(ctx, filter)
	return int(n), d.failure(ctx, err)
}

// Due returns live records of all tenants with Due at or before now.
func (d *Driver) Due(ctx context.Context, table string, now time.Time, limit int) ([]store.Record, error) {
	filter := bson.D{{Key: "due", Value: bson.D{{Key: "$lte", Value: date(now)}}}, live(now)}
	return d.find(ctx, table, filter, options.Find().SetSort(bson.D{{Key: "due", Value: 1}}).SetLimit(int64(limit)))
}

func (d *Driver) find(ctx context.Context, table string, filter bson.D, opts *options.FindOptionsBuilder) ([]store.Record, error) {
	cursor, err := d.db.Collection(table).Find(ctx, filter, opts)
	if err != nil {
		return nil, d.failure(ctx, err)
	}
	var docs []document
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, d.failure(ctx, err)
	}
	recs := make([]store.Record, len(docs))
	for i := range docs {
		recs[i] = d.record(&docs[i])
	}
	return recs, nil
}

// query turns a scan into a filter and a sort.
func query(s store.Scan) (filter, sort bson.D) {
	way := 1
	if s.Desc {
		way = -1
	}
	if s.Index == "" {
		return bson.D{{Key: "_id", Value: idSpan(s)}, live(s.Now)}, bson.D{{Key: "_id", Value: way}}
	}
	path := "ix." + s.Index
	filter = bson.D{{Key: "tenant", Value: s.Tenant}, {Key: path + ".equal", Value: s.Equal}, live(s.Now)}
	sort = bson.D{{Key: path + ".order", Value: way}, {Key: "_id", Value: way}}
	bounds := span(s.From, s.To)
	if s.After == nil {
		if len(bounds) > 0 {
			filter = append(filter, bson.E{Key: path + ".order", Value: bounds})
		}
		return filter, sort
	}
	// Beyond a place: further on in order, or there and further on in id. The
	// bound on order outside the choice lets the server begin in the index.
	edge, beyond := "$gte", "$gt"
	if s.Desc {
		edge, beyond = "$lte", "$lt"
	}
	bounds = append(bounds, bson.E{Key: edge, Value: s.After.Order})
	return append(filter,
		bson.E{Key: path + ".order", Value: narrow(bounds)},
		bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: path + ".order", Value: bson.D{{Key: beyond, Value: s.After.Order}}}},
			bson.D{{Key: "_id", Value: bson.D{{Key: beyond, Value: scope(s.Tenant) + s.After.ID}}}},
		}}), sort
}

// idSpan is the span of _ids of a scan by id.
func idSpan(s store.Scan) bson.D {
	base := scope(s.Tenant)
	bounds := bson.D{{Key: "$gte", Value: base + s.Prefix}, {Key: "$lt", Value: successor(base + s.Prefix)}}
	if s.From != "" {
		bounds = append(bounds, bson.E{Key: "$gte", Value: base + s.From})
	}
	if s.To != "" {
		bounds = append(bounds, bson.E{Key: "$lt", Value: base + s.To})
	}
	if s.After != nil {
		beyond := "$gt"
		if s.Desc {
			beyond = "$lt"
		}
		bounds = append(bounds, bson.E{Key: beyond, Value: base + s.After.ID})
	}
	return narrow(bounds)
}

func span(from, to string) bson.D {
	var bounds bson.D
	if from != "" {
		bounds = append(bounds, bson.E{Key: "$gte", Value: from})
	}
	if to != "" {
		bounds = append(bounds, bson.E{Key: "$lt", Value: to})
	}
	return bounds
}

// narrow keeps the tightest of several bounds with the same operator, because a
// document names an operator once.
func narrow(bounds bson.D) bson.D {
	var kept bson.D
next:
	for _, b := range bounds {
		for i, k := range kept {
			if k.Key != b.Key {
				continue
			}
			lower := k.Key == "$gt" || k.Key == "$gte"
			if tighter := b.Value.(string) > k.Value.(string); tighter == lower {
				kept[i] = b
			}
			continue next
		}
		kept = append(kept, b)
	}
	return kept
}

// successor is the least string above all that begin with s. s begins with a
// scope, so there is one. Strings are valid UTF-8, whose byte order is the order
// of code points; the surrogates between D7FF and E000 are none.
func successor(s string) string {
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch {
		case r == '\ud7ff':
			return s + "\ue000"
		case r < utf8.MaxRune:
			return s + string(r+1)
		}
	}
	return s
}
