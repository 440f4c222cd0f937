package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// live selects documents that have not expired at now.
func live(now time.Time) bson.E {
	return bson.E{Key: "expires", Value: bson.D{{Key: "$not", Value: expired(now)}}}
}

func expired(now time.Time) bson.D { return bson.D{{Key: "$lte", Value: date(now)}} }

func byID(tenant, id string) bson.D { return bson.D{{Key: "_id", Value: scope(tenant) + id}} }

// Insert creates records, many in one call to the server.
func (d *Driver) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	errs := make([]error, len(recs))
	docs := make([]any, 0, len(recs))
	at := make([]int, 0, len(recs)) // places of docs in recs
	for i, rec := range recs {
		doc, err := d.encode(rec)
		if err != nil {
			errs[i] = err
			continue
		}
		docs, at = append(docs, doc), append(at, i)
	}
	if len(docs) == 0 {
		return errs
	}
	c := d.db.Collection(table)
	for i, err := range d.insert(ctx, c, docs) {
		if errors.Is(err, store.ErrExists) {
			err = d.revive(ctx, c, recs[at[i]], docs[i], now)
		}
		errs[at[i]] = err
	}
	return errs
}

// insert creates documents and returns one error per document.
func (d *Driver) insert(ctx context.Context, c *mongo.Collection, docs []any) []error {
	errs := make([]error, len(docs))
	if len(docs) == 1 {
		errs[0] = d.insertOne(ctx, c, docs[0])
		return errs
	}
	_, err := c.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	if err == nil {
		return errs
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		// Not known which of them are there, or whether they will stay.
		for i := range errs {
			errs[i] = d.failure(ctx, err)
		}
		return errs
	}
	for _, we := range bulk.WriteErrors {
		errs[we.Index] = store.ErrExists
		if !mongo.IsDuplicateKeyError(mongo.WriteException{WriteErrors: mongo.WriteErrors{we.WriteError}}) {
			errs[we.Index] = d.failure(ctx, we)
		}
	}
	return errs
}

func (d *Driver) insertOne(ctx context.Context, c *mongo.Collection, doc any) error {
	_, err := c.InsertOne(ctx, doc)
	if mongo.IsDuplicateKeyError(err) {
		return store.ErrExists
	}
	return d.failure(ctx, err)
}

// revive creates a document in the place of an expired one. Deleting and
// inserting are each done by exactly one of several racing callers.
func (d *Driver) revive(ctx context.Context, c *mongo.Collection, rec store.Record, doc any, now time.Time) error {
	stale := append(byID(rec.Tenant, rec.ID), bson.E{Key: "expires", Value: expired(now)})
	if _, err := c.DeleteOne(ctx, stale); err != nil {
		return d.failure(ctx, err)
	}
	return d.insertOne(ctx, c, doc)
}

// Replace writes rec over the live document with revision rev.
func (d *Driver) Replace(ctx context.Context, table string, rec store.Record, rev int64, now time.Time) error {
	doc, err := d.encode(rec)
	if err != nil {
		return err
	}
	filter := append(byID(rec.Tenant, rec.ID), bson.E{Key: "rev", Value: rev}, live(now))
	done, err := d.db.Collection(table).ReplaceOne(ctx, filter, doc)
	if err != nil {
		return d.failure(ctx, err)
	}
	if done.MatchedCount == 1 {
		return nil
	}
	return d.whyNot(ctx, table, append(byID(rec.Tenant, rec.ID), live(now)))
}

// Delete removes the document if its revision is rev or rev is 0.
func (d *Driver) Delete(ctx context.Context, table, tenant, id string, rev int64) error {
	filter := byID(tenant, id)
	if rev != 0 {
		filter = append(filter, bson.E{Key: "rev", Value: rev})
	}
	done, err := d.db.Collection(table).DeleteOne(ctx, filter)
	if err != nil {
		return d.failure(ctx, err)
	}
	if done.DeletedCount == 1 {
		return nil
	}
	if rev == 0 {
		return store.ErrNotFound
	}
	return d.whyNot(ctx, table, byID(tenant, id))
}

// whyNot tells why a write matched no document.
func (d *Driver) whyNot(ctx context.Context, table string, filter bson.D) error {
	err := d.db.Collection(table).FindOne(ctx, filter, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.ErrNotFound
	}
	if err != nil {
		return d.failure(ctx, err)
	}
	return store.ErrStale
}

// Sweep removes expired documents, some hundreds in one call.
func (d *Driver) Sweep(ctx context.Context, table string, now time.Time, limit int) (int, error) {
	const part = 500
	c := d.db.Collection(table)
	filter := bson.D{{Key: "expires", Value: expired(now)}}
	total := 0
	for total < limit {
		want := min(part, limit-total)
		cursor, err := c.Find(ctx, filter, options.Find().SetLimit(int64(want)).SetProjection(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			return total, d.failure(ctx, err)
		}
		var found []struct {
			ID string `bson:"_id"`
		}
		if err := cursor.All(ctx, &found); err != nil {
			return total, d.failure(ctx, err)
		}
		if len(found) == 0 {
			return total, nil
		}
		gone := make([]string, len(found))
		for i, doc := range found {
			gone[i] = doc.ID
		}
		in := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: gone}}}}
		done, err := c.DeleteMany(ctx, append(in, filter...)) // a document may have been made anew meanwhile
		if err != nil {
			return total, d.failure(ctx, err)
		}
		total += int(done.DeletedCount)
		if len(found) < want {
			return total, nil
		}
	}
	return total, nil
}
