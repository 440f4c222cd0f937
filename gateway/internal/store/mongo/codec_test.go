package mongo

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// through carries a value through BSON bytes and back.
func through[T any](t testing.TB, in T) (T, error) {
	t.Helper()
	var c codec
	var out T
	value, err := c.encode(reflect.ValueOf(&in).Elem())
	if err != nil {
		return out, err
	}
	raw, err := rawValue(value)
	if err != nil {
		return out, err
	}
	err = c.decode(raw, reflect.ValueOf(&out).Elem())
	return out, err
}

// likeJSON wants a value to come back as it does from encoding/json.
func likeJSON[T any](t *testing.T, in T, opts ...cmp.Option) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var want T
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	got, err := through(t, in)
	if err != nil {
		t.Errorf("%T: %v", in, err)
		return
	}
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Errorf("%T (-json +bson):\n%s", in, diff)
	}
}

type inner struct {
	A string `json:"a,omitempty"`
	B int
}

type hidden struct {
	C string `json:"c"`
	A string `json:"a"` // the outer one wins
	D string
}

type Seen struct {
	D string `json:"D"` // tagged: wins over hidden.D at the same depth
	E string
}

type outer struct {
	hidden
	Seen
	*Far
	inner `json:"named"`
	A     string `json:"a"`
	F     []inner
	G     map[string]*inner
	Self  *outer `json:"self,omitempty"`
}

type Far struct{ G1, E string }

func TestLikeJSON(t *testing.T) {
	t.Parallel()
	all := cmp.AllowUnexported(outer{})
	likeJSON(t, outer{}, all)
	likeJSON(t, outer{
		hidden: hidden{C: "c", A: "lost", D: "lost"}, Seen: Seen{D: "d", E: "lost: Far has one too"}, Far: &Far{G1: "g", E: "lost"},
		inner: inner{A: "lost: not exported"}, A: "a", F: []inner{{A: "x"}, {B: 1}}, G: map[string]*inner{"": nil, "k": {B: 2}},
		Self: &outer{A: "deep"},
	}, all)
	likeJSON(t, []any{nil, 1.5, "x", map[string]any{"a.b": []any{}}})
	likeJSON(t, map[string]any(nil))
	likeJSON(t, map[string]any{})
	likeJSON(t, [][]int{{1}, nil, {}})
	likeJSON(t, [][]byte{{1}, {}, nil})
	likeJSON(t, []*[]string{{"a"}, nil})
	likeJSON(t, map[string][][]string{"a": {{"b"}}})
	likeJSON(t, map[time.Duration]bool{time.Second: true})
	likeJSON(t, map[string]json.RawMessage{"a": nil, "b": json.RawMessage(`[1]`)})
	likeJSON(t, []json.RawMessage{nil, json.RawMessage(`null`), json.RawMessage(`"x"`)})
	likeJSON(t, struct{ P *json.RawMessage }{})
	null := json.RawMessage("null")
	likeJSON(t, struct{ P *json.RawMessage }{&null})
	likeJSON(t, "bad \xff\xfe utf-8")
	likeJSON(t, map[string]int{"%": 1, "%%": 2, "%25": 3, "": 4, ".": 5, "$": 6, "%2E": 7, "\x00": 8})
	likeJSON(t, []uint64{0, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64})
	likeJSON(t, []float32{math.MaxFloat32, math.SmallestNonzeroFloat32, 0.1})
	likeJSON(t, []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1 << 53})
	likeJSON(t, struct {
		T time.Time      `json:"t,omitzero"`
		U *time.Time     `json:"u,omitempty"`
		V map[string]any `json:"v,omitempty"`
	}{})
	likeJSON(t, errors.ErrUnsupported == nil)
}

func TestRefusesWhatJSONRefuses(t *testing.T) {
	t.Parallel()
	refuse := func(err error, says string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got error %v, want one that says %q", err, says)
		}
	}
	_, err := through(t, map[string]float64{"a": math.NaN()})
	refuse(err, "a: NaN")
	_, err = through(t, []float64{0, math.Inf(1)})
	refuse(err, "1: +Inf")
	_, err = through(t, struct{ C chan int }{})
	refuse(err, "C: values of type chan int")
	_, err = through(t, struct{ T time.Time }{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
	refuse(err, "year outside of range")
	_, err = through(t, struct{ R json.RawMessage }{json.RawMessage("{")})
	refuse(err, "R: ")
}

func TestMismatchNamesThePlace(t *testing.T) {
	t.Parallel()
	doc, err := bson.Marshal(bson.D{{Key: "F", Value: bson.A{bson.D{{Key: "B", Value: "x"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	var c codec
	var v outer
	err = c.decode(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}, reflect.ValueOf(&v).Elem())
	if err == nil || err.Error() != "F: 0: B: a BSON string where a int belongs" {
		t.Errorf("got error %v", err)
	}
	for _, small := range []any{new(int8), new(uint8), new(string), new(bool), new([]int), new(map[string]int), new(inner), new([]byte), new(time.Time), new(any)} {
		kind, bytes, err := bson.MarshalValue(int64(300))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.decode(bson.RawValue{Type: kind, Value: bytes}, reflect.ValueOf(small).Elem()); err == nil {
			t.Errorf("300 was read into a %T", small)
		}
	}
}

// FuzzValues wants any JSON to come back the same as raw JSON, as any, and by
// its strings as names and values.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`null`, `{"a.b":[1e400,{"$x":null}]}`, `"\u0000"`, `[[],[[]]]`, `{"":"","%":"%2E"}`, "\xff", `-0`, `12345678901234567890`} {
		f.Add([]byte(s), s)
	}
	f.Fuzz(func(t *testing.T, b []byte, s string) {
		got, err := through(t, map[string]string{s: s})
		if text := string([]rune(s)); err != nil || !cmp.Equal(got, map[string]string{text: text}) {
			t.Errorf("map of %q came back as %q", s, got)
		}
		if !json.Valid(b) {
			return
		}
		type both struct {
			Raw json.RawMessage
			Any any
		}
		var in both
		in.Raw = b
		_ = json.Unmarshal(b, &in.Any) // numbers over float64 stay away
		out, err := through(t, in)
		if err != nil {
			t.Fatal(err)
		}
		var want, is strings.Builder
		compact(&want, b)
		compact(&is, out.Raw)
		if want.String() != is.String() || !cmp.Equal(in.Any, out.Any) {
			t.Errorf("%s came back as %s, %v", b, out.Raw, out.Any)
		}
	})
}

func compact(w *strings.Builder, b []byte) {
	var raw json.RawMessage = b
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(raw)
}
