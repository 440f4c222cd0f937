package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Codes of the server's refusals.
const (
	noCollection   = 26
	notImplemented = 238
)

// Ensure makes the indexes of a table where they are missing. Those that are
// there are left alone: a start of one more gateway builds nothing.
func (d *Driver) Ensure(ctx context.Context, table string, indexes []string) error {
	// The server's clock may be ahead of ours, so its broom comes an hour late.
	const late = 3600
	c := d.db.Collection(table)
	have, err := indexNames(ctx, c)
	if err != nil {
		return d.failure(ctx, err)
	}
	want := map[string]bson.D{
		"due":     {{Key: "due", Value: 1}},
		"expires": {{Key: "expires", Value: 1}},
	}
	for _, name := range indexes {
		path := "ix." + name
		want["ix_"+name] = bson.D{
			{Key: "tenant", Value: 1}, {Key: path + ".equal", Value: 1}, {Key: path + ".order", Value: 1}, {Key: "_id", Value: 1},
		}
	}
	for name, keys := range want {
		if have[name] {
			continue
		}
		opts := options.Index().SetName(name)
		if len(keys) == 1 {
			opts.SetSparse(true)
		}
		if name == "expires" {
			opts.SetExpireAfterSeconds(late)
		}
		_, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys, Options: opts})
		if name == "expires" && hasCode(err, notImplemented) { // no broom here: the sweep does it alone
			opts = options.Index().SetName(name).SetSparse(true)
			_, err = c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys, Options: opts})
		}
		if err != nil {
			return d.failure(ctx, err)
		}
	}
	return nil
}

func indexNames(ctx context.Context, c *mongo.Collection) (map[string]bool, error) {
	specs, err := c.Indexes().ListSpecifications(ctx)
	if err != nil && !hasCode(err, noCollection) {
		return nil, err
	}
	names := map[string]bool{}
	for _, spec := range specs {
		names[spec.Name] = true
	}
	return names, nil
}

func hasCode(err error, code int) bool {
	var refused mongo.ServerError
	return errors.As(err, &refused) && refused.HasErrorCode(code)
}
