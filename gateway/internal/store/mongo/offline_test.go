package mongo

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestOpenRefusesURI(t *testing.T) {
	t.Parallel()
	for uri, says := range map[string]string{
		"mongodb://h/?readPreference=secondary":          "readPreference=secondary",
		"mongodb://h/?readPreference=secondaryPreferred": "readPreference=secondaryPreferred",
		"mongodb://h/?readPreference=nearest":            "readPreference=nearest",
		"mongodb://h/?readPreference=primaryPreferred":   "readPreference=primaryPreferred",
		"http://h":  "MongoDB URI",
		"":          "MongoDB URI",
		"mongodb:/": "MongoDB URI",
	} {
		_, err := Open(t.Context(), Config{URI: uri})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got error %v, want one line that says %q", uri, err, says)
		}
	}
}

// TestOptions wants the settings that correctness rests on to be those of the
// code, whatever the URI says.
func TestOptions(t *testing.T) {
	t.Parallel()
	opts, err := clientOptions(Config{URI: "mongodb://h/?w=1&journal=false&readPreference=primary&serverSelectionTimeoutMS=60000"})
	if err != nil {
		t.Fatal(err)
	}
	if opts.WriteConcern.W != "majority" || opts.WriteConcern.Journal == nil || !*opts.WriteConcern.Journal {
		t.Errorf("write concern %+v", opts.WriteConcern)
	}
	if got := opts.ReadPreference.Mode().String(); got != "primary" {
		t.Errorf("reads from %s", got)
	}
	if *opts.ServerSelectionTimeout != 5*time.Second {
		t.Errorf("waits %v for a server", *opts.ServerSelectionTimeout)
	}
}

// TestUnreachable wants a server that is not there to be reported soon, as
// unavailable, without the password.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = Open(t.Context(), Config{URI: "mongodb://user:hunter2@" + addr, Wait: 200 * time.Millisecond})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got error %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestDatabaseOf(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"mongodb://h":                        "gatepost",
		"mongodb://h/":                       "gatepost",
		"mongodb://h/?w=majority":            "gatepost",
		"mongodb://u:p%2Fq@h1:1,h2:2/my?w=1": "my",
		"mongodb+srv://h/my":                 "my",
	} {
		if got := databaseOf(uri); got != want {
			t.Errorf("%s names %q, want %q", uri, got, want)
		}
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"t/": "t0", "t/a": "t/b", "t/a\x7f": "t/a\u0080", "t/\ud7ff": "t/\ue000", "t/\U0010ffff": "t0", "t/a\U0010ffff\U0010ffff": "t/b", "t/é": "t/ê",
	} {
		if got := successor(s); got != want || got <= s {
			t.Errorf("successor of %q is %q, want %q", s, got, want)
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, tenant := range []string{"", "t", "t/", "t%2F", "t%", "t%25", "t%252F", "/", "%2F"} {
		s := scope(tenant)
		if other, ok := seen[s]; ok || strings.Count(s, "/") != 1 {
			t.Errorf("tenants %q and %q have the scope %q", tenant, other, s)
		}
		seen[s] = tenant
	}
}

// TestQuery shows what is asked of the server, with one bound an operator.
func TestQuery(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(5)
	alive := bson.E{Key: "expires", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$lte", Value: bson.DateTime(5)}}}}}
	for _, c := range []struct {
		name string
		scan store.Scan
		want bson.D
	}{
		{"by id", store.Scan{Prefix: "a", From: "ab", To: "z", After: &store.Position{Order: "ac", ID: "ac"}}, bson.D{
			{Key: "_id", Value: bson.D{{Key: "$gte", Value: "t/ab"}, {Key: "$lt", Value: "t/b"}, {Key: "$gt", Value: "t/ac"}}}, alive,
		}},
		{"by id, downwards", store.Scan{Prefix: "a", After: &store.Position{Order: "ac", ID: "ac"}, Desc: true}, bson.D{
			{Key: "_id", Value: bson.D{{Key: "$gte", Value: "t/a"}, {Key: "$lt", Value: "t/ac"}}}, alive,
		}},
		{"by index", store.Scan{Index: "x", Equal: "e", From: "a", After: &store.Position{Order: "m", ID: "i"}}, bson.D{
			{Key: "tenant", Value: "t"},
			{Key: "ix.x.equal", Value: "e"},
			alive,
			{Key: "ix.x.order", Value: bson.D{{Key: "$gte", Value: "m"}}},
			{Key: "$or", Value: bson.A{
				bson.D{{Key: "ix.x.order", Value: bson.D{{Key: "$gt", Value: "m"}}}},
				bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: "t/i"}}}},
			}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.scan.Tenant, c.scan.Now = "t", now
			got, _ := query(c.scan)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("filter (-want +got):\n%s", diff)
			}
		})
	}
}
