package wiretest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/mongo"
	"github.com/gatepost/gatepost/gateway/internal/store/mongo/wiretest/ferret"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// bench is the server that all tests share.
type bench struct {
	uri    string
	server mongo.Server
	next   atomic.Int64
}

var shared bench

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := withServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withServer(m *testing.M) (int, error) {
	shared.uri = os.Getenv("GATEPOST_TEST_MONGO_URI")
	if shared.uri == "" {
		dir, err := os.MkdirTemp("", "gatepost-wire-")
		if err != nil {
			return 1, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		uri, stop, err := ferret.Start(dir)
		if err != nil {
			return 1, err
		}
		defer stop()
		shared.uri = uri
	}
	d, err := mongo.Open(context.Background(), mongo.Config{URI: shared.uri, Database: name()})
	if err != nil {
		return 1, err
	}
	shared.server = d.Server()
	err = errors.Join(drop(context.Background(), d.Name()), d.Close())
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// caps declares what the server cannot do.
func caps() storetest.Caps {
	if shared.server.AtomicUpdates {
		return storetest.Caps{}
	}
	return storetest.Caps{
		NoAtomicUpdates: shared.server.Product + " " + shared.server.Version + " checks the condition of a write and writes in two steps",
		Smaller:         "SQLite syncs every write",
	}
}

// name makes a database name of its own for a test.
func name() string {
	return fmt.Sprintf("gatepost_test_%d_%d", os.Getpid(), shared.next.Add(1))
}

// database is the database in a driver's name.
func database(d store.Driver) string {
	_, db, _ := strings.Cut(d.Name(), "/")
	return db
}

func drop(ctx context.Context, driverName string) error {
	_, db, _ := strings.Cut(driverName, "/")
	client, err := driver.Connect(options.Client().ApplyURI(shared.uri))
	if err != nil {
		return err
	}
	return errors.Join(client.Database(db).Drop(ctx), client.Disconnect(ctx))
}

// raw is the database itself, behind the driver's back.
func raw(t testing.TB, db string) *driver.Database {
	t.Helper()
	client, err := driver.Connect(options.Client().ApplyURI(shared.uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client.Database(db)
}

func openAt(t testing.TB, db string) *mongo.Driver {
	t.Helper()
	d, err := mongo.Open(t.Context(), mongo.Config{URI: shared.uri, Database: db, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func open(t testing.TB) store.Driver {
	t.Helper()
	db := name()
	t.Cleanup(func() {
		if err := drop(context.Background(), "/"+db); err != nil {
			t.Error(err)
		}
	})
	return openAt(t, db)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Server: shared.server.String(),
		Open:   open,
		Reopen: func(t testing.TB, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, database(d))
		},
		Old:  openOld,
		Caps: caps(),
	})
}

// TestReport puts the server and what it could not show among the skipped
// tests, where a report shows them.
func TestReport(t *testing.T) {
	t.Parallel()
	if shared.server.Product == "MongoDB" {
		t.Logf("the store suite ran on %s", shared.server)
		return
	}
	lost := "how MongoDB itself behaves"
	if !shared.server.AtomicUpdates {
		lost += "; that of several racing swaps, updates or re-creations of an expired record exactly one wins"
	}
	t.Skipf("the store suite ran on %s; could not show: %s. Set GATEPOST_TEST_MONGO_URI for that", shared.server, lost)
}

// TestCaps wants the driver itself to say of a server what the suite found, so
// that the gateway can warn whoever runs on it.
func TestCaps(t *testing.T) {
	t.Parallel()
	if shared.server.Product == "MongoDB" && !shared.server.AtomicUpdates {
		t.Error("MongoDB passes for a server without atomic updates")
	}
	if os.Getenv("GATEPOST_TEST_MONGO_URI") != "" {
		return
	}
	want := mongo.Server{Product: "FerretDB", Version: "1.24.0", Kind: "standalone"}
	if shared.server != want {
		t.Errorf("the server is %+v, want %+v", shared.server, want)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if line := "github.com/FerretDB/FerretDB " + ferret.Version + "\n"; !strings.Contains(string(mod), line) {
		t.Errorf("go.mod does not say %q", line)
	}
}

func Benchmark(b *testing.B) { storetest.Bench(b, open) }

const oldFile = "testdata/v1/mongo.jsonl"

// openOld makes a database that holds exactly what format 1 wrote.
func openOld(t testing.TB) store.Driver {
	t.Helper()
	text, err := storetest.Old.ReadFile(oldFile)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t)
	c := raw(t, database(d)).Collection(storetest.OldTable)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var doc bson.D
		if err := bson.UnmarshalExtJSON(lines.Bytes(), true, &doc); err != nil {
			t.Fatal(err)
		}
		if _, err := c.InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

var writeOld = flag.Bool("write-old", false, "write the file of old rows of this format anew")

// TestWriteOld makes the file of a new format. The file of a released format
// stays as it is.
func TestWriteOld(t *testing.T) {
	if !*writeOld {
		t.Skip("runs with -write-old, when the format changes")
	}
	d := open(t)
	storetest.WriteOld(t, d)
	cursor, err := raw(t, database(d)).Collection(storetest.OldTable).Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.Raw
	if err := cursor.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, doc := range docs {
		line, err := bson.MarshalExtJSON(doc, true, false)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	if err := os.WriteFile(filepath.Join("..", "..", "storetest", oldFile), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
