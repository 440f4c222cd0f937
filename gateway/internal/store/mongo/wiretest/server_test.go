package wiretest_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/mongo"
	"github.com/gatepost/gatepost/gateway/internal/store/mongo/wiretest/ferret"
)

type person struct {
	Name    string            `json:"name"`
	At      time.Time         `json:"at"`
	Session store.Duration    `json:"session"`
	Claims  map[string]string `json:"claims"`
	Payload json.RawMessage   `json:"payload"`
}

func declare(t *testing.T, d store.Driver) *store.Table[person] {
	t.Helper()
	table, err := store.Declare(t.Context(), store.New(d, nil), store.Spec[person]{
		Name:    "people",
		Indexes: map[string]func(*person) (store.Key, bool){"name": func(p *person) (store.Key, bool) { return store.Key{Equal: p.Name, Order: "o"}, true }},
		Expires: func(p *person) time.Time { return p.At.Add(time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestDocument shows what an operator sees in the database.
func TestDocument(t *testing.T) {
	t.Parallel()
	d := open(t)
	at := time.Date(2126, 1, 2, 3, 4, 5, 123456789, time.UTC)
	row, err := declare(t, d).Create(t.Context(), "t/1", "pool/ann", person{
		Name: "Ann", At: at, Session: store.Duration(90 * time.Minute),
		Claims: map[string]string{"https://x.example": "y"}, Payload: json.RawMessage(`{"$n": 1e400}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got bson.D
	if err := raw(t, database(d)).Collection("people").FindOne(t.Context(), bson.D{}).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := bson.D{
		{Key: "_id", Value: "t%2F1/pool/ann"},
		{Key: "tenant", Value: "t/1"},
		{Key: "rev", Value: row.Rev},
		{Key: "version", Value: int64(1)},
		{Key: "expires", Value: bson.DateTime(at.Add(time.Hour).UnixMilli())},
		{Key: "ix", Value: bson.D{{Key: "name", Value: bson.D{{Key: "equal", Value: "Ann"}, {Key: "order", Value: "o"}}}}},
		{Key: "value", Value: bson.D{
			{Key: "name", Value: "Ann"},
			{Key: "at", Value: "2126-01-02T03:04:05.123456789Z"},
			{Key: "session", Value: "1h30m0s"},
			{Key: "claims", Value: bson.D{{Key: "https://x%2Eexample", Value: "y"}}},
			{Key: "payload", Value: `{"$n":1e400}`},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

// TestIndexes wants the indexes that queries need, and a TTL index where the
// server has such.
func TestIndexes(t *testing.T) {
	t.Parallel()
	d := open(t)
	for range 2 { // a second start changes nothing
		declare(t, d)
	}
	specs, err := raw(t, database(d)).Collection("people").Indexes().ListSpecifications(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, spec := range specs {
		var keys bson.D
		if err := bson.Unmarshal(spec.KeysDocument, &keys); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, k := range keys {
			names = append(names, k.Key)
		}
		got[spec.Name] = strings.Join(names, " ")
		if spec.Name == "expires" && shared.server.Product == "MongoDB" && (spec.ExpireAfterSeconds == nil || *spec.ExpireAfterSeconds != 3600) {
			t.Errorf("the index expires is no TTL index: %+v", spec)
		}
	}
	want := map[string]string{"_id_": "_id", "due": "due", "expires": "expires", "ix_name": "tenant ix.name.equal ix.name.order _id"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("indexes (-want +got):\n%s", diff)
	}
}

func TestNewerFormat(t *testing.T) {
	t.Parallel()
	d := open(t)
	set := bson.D{{Key: "$set", Value: bson.D{{Key: "value", Value: int64(2)}}}}
	if _, err := raw(t, database(d)).Collection("gatepost").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "format"}}, set); err != nil {
		t.Fatal(err)
	}
	_, err := mongo.Open(t.Context(), mongo.Config{URI: shared.uri, Database: database(d)})
	if err == nil || !strings.Contains(err.Error(), "run the newer release") {
		t.Errorf("got error %v", err)
	}
}

// TestOutage stops a server of its own: every operation then fails as
// unavailable, and soon.
func TestOutage(t *testing.T) {
	t.Parallel()
	uri, stop, err := ferret.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := mongo.Open(t.Context(), mongo.Config{URI: uri, Wait: time.Second})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	table := declare(t, d)
	row, err := table.Create(t.Context(), "t", "a", person{At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	began := time.Now()
	for name, call := range map[string]func() error{
		"get":    func() error { _, err := table.Get(t.Context(), "t", "a"); return err },
		"create": func() error { _, err := table.Create(t.Context(), "t", "b", person{}); return err },
		"many": func() error {
			return table.CreateMany(t.Context(), "t", []store.Item[person]{{ID: "c"}, {ID: "d"}})[1]
		},
		"swap":   func() error { _, err := table.Swap(t.Context(), "t", "a", row.Rev, person{}); return err },
		"delete": func() error { return table.Delete(t.Context(), "t", "a") },
		"count":  func() error { _, err := table.Count(t.Context(), "t", store.Query{}); return err },
		"ping":   func() error { return d.Ping(t.Context()) },
	} {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s without a server: got error %v", name, err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestCommand runs the command that other tests use.
func TestCommand(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "ferret")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/ferret").CombinedOutput(); err != nil { //nolint:gosec // builds our own command
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), bin) //nolint:gosec // the same
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	uri, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	d, err := mongo.Open(t.Context(), mongo.Config{URI: strings.TrimSpace(uri)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), in.Close()); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("then it printed %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
