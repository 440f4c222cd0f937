package mongo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config says which server to use.
type Config struct {
	URI      string // mongodb:// or mongodb+srv://; it must not ask for reads from secondaries
	Database string // empty: the one in the URI, else "gatepost"
	// Wait is how long an operation waits for a server to be there before it
	// fails with store.ErrUnavailable; 0 means 5 s.
	Wait time.Duration
	// Timeout is how long an operation may take in all when its context has no
	// deadline; 0 means 15 s.
	Timeout time.Duration
}

// Server describes what answered at Open.
type Server struct {
	Product string // "MongoDB" or "FerretDB"
	Version string
	Kind    string // "replica set", "sharded" or "standalone"
	// AtomicUpdates is false for a server that checks the condition of an update
	// or a deletion and carries it out in two steps. There, of several racing
	// swaps more than one may seem to win: fit for trying things out, not for use.
	AtomicUpdates bool
}

// String is the server in one line for the log.
func (s Server) String() string { return fmt.Sprintf("%s %s, %s", s.Product, s.Version, s.Kind) }

// Driver is a connection to a database. It is safe for concurrent use.
type Driver struct {
	client *mongo.Client
	db     *mongo.Database
	name   string
	server Server
	codec  codec

	stop sync.Once
}

var _ store.Driver = (*Driver)(nil)

// The record of the format of the whole database.
const (
	about  = "gatepost"
	format = 1
)

// Open connects and checks that the server answers, is the primary, and that
// its data was not written by a newer release. The caller closes the driver.
func Open(ctx context.Context, c Config) (*Driver, error) {
	opts, err := clientOptions(c)
	if err != nil {
		return nil, err
	}
	if c.Database == "" {
		c.Database = databaseOf(c.URI)
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("MongoDB: %w", err)
	}
	d := &Driver{
		client: client, db: client.Database(c.Database),
		name: "mongo " + strings.Join(opts.Hosts, ",") + "/" + c.Database,
	}
	if err := d.begin(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func clientOptions(c Config) (*options.ClientOptions, error) {
	const wait, timeout = 5 * time.Second, 15 * time.Second
	opts := options.Client().ApplyURI(c.URI)
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("MongoDB URI: %w", err)
	}
	if rp := opts.ReadPreference; rp != nil && rp.Mode() != readpref.PrimaryMode {
		return nil, fmt.Errorf("MongoDB URI: readPreference=%s would lose logouts and one-time codes; leave it out", rp.Mode())
	}
	if c.Wait == 0 {
		c.Wait = wait
	}
	if c.Timeout == 0 {
		c.Timeout = timeout
	}
	journal := true
	return opts.SetAppName("gatepost").
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}).
		SetServerSelectionTimeout(c.Wait).SetConnectTimeout(c.Wait).SetTimeout(c.Timeout), nil
}

// databaseOf returns the database that a valid URI names, or ours.
func databaseOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	_, path, _ := strings.Cut(rest, "/")
	path, _, _ = strings.Cut(path, "?")
	if db, err := url.PathUnescape(path); err == nil && db != "" {
		return db
	}
	return "gatepost"
}

// begin looks at the server and at the format of its data.
func (d *Driver) begin(ctx context.Context) error {
	if err := d.Ping(ctx); err != nil {
		return err
	}
	var hello struct {
		Primary bool   `bson:"isWritablePrimary"`
		Set     string `bson:"setName"`
		Message string `bson:"msg"`
	}
	admin := d.client.Database("admin")
	if err := admin.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return d.failure(ctx, err)
	}
	if !hello.Primary {
		return fmt.Errorf("%s: this member is not the primary; name all members, or the set, in the URI", d.name)
	}
	var build struct {
		Version  string `bson:"version"`
		FerretDB string `bson:"ferretdbVersion"`
	}
	if err := admin.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return d.failure(ctx, err)
	}
	d.server = Server{Product: "MongoDB", Version: build.Version, Kind: "standalone", AtomicUpdates: true}
	if build.FerretDB != "" {
		d.server.Product, d.server.Version = "FerretDB", strings.TrimPrefix(build.FerretDB, "v")
		d.server.AtomicUpdates = d.server.Version != "unknown" && !strings.HasPrefix(d.server.Version, "1.")
	}
	switch {
	case hello.Message == "isdbgrid":
		d.server.Kind = "sharded"
	case hello.Set != "":
		d.server.Kind = "replica set"
	}
	return d.checkFormat(ctx)
}

// checkFormat refuses a newer format, and writes ours into an empty database.
func (d *Driver) checkFormat(ctx context.Context) error {
	c := d.db.Collection(about)
	_, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: "format"}, {Key: "value", Value: int64(format)}})
	if err == nil {
		return nil
	}
	if !mongo.IsDuplicateKeyError(err) {
		return d.failure(ctx, err)
	}
	var is struct {
		Value int64 `bson:"value"`
	}
	if err := c.FindOne(ctx, bson.D{{Key: "_id", Value: "format"}}).Decode(&is); err != nil {
		return d.failure(ctx, err)
	}
	if is.Value != format {
		return fmt.Errorf("%s: it has format %d, this program knows %d: run the newer release", d.name, is.Value, format)
	}
	return nil
}

// Server describes the server that answered at Open.
func (d *Driver) Server() Server { return d.server }

// Name describes the database for the log; it holds no credentials.
func (d *Driver) Name() string { return d.name }

// Ping reports whether the primary answers.
func (d *Driver) Ping(ctx context.Context) error {
	return d.failure(ctx, d.client.Ping(ctx, readpref.Primary()))
}

// Close ends the connections. Every later call fails with store.ErrUnavailable.
// Closing again does nothing.
func (d *Driver) Close() error {
	const patience = 5 * time.Second
	var err error
	d.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = d.client.Disconnect(ctx)
	})
	return err
}

// failure turns an error of the server or of the way to it into ours.
func (d *Driver) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := store.Ended(ctx); ended != nil {
		return ended
	}
	return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, d.name, err)
}
