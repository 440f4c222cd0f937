package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// base is embedded, unexported: its fields are the record's, as encoding/json
// has it.
type base struct {
	Epoch string `json:"epoch"`
	Kept  int    `json:"kept,omitempty"`
}

// Shared is embedded and exported.
type Shared struct {
	Owner string
}

type level int

func (l level) MarshalText() ([]byte, error) { return []byte(strings.Repeat("+", int(l))), nil }

func (l *level) UnmarshalText(b []byte) error { *l = level(len(b)); return nil }

type choice struct{ either, or string }

func (c choice) MarshalJSON() ([]byte, error) {
	if c.either != "" {
		return json.Marshal(c.either)
	}
	return json.Marshal([]string{c.or})
}

func (c *choice) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &c.either); err == nil {
		return nil
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil || len(list) != 1 {
		return errors.New("neither a string nor a list of one")
	}
	c.or = list[0]
	return nil
}

// everything has a field of every sort that records use.
type everything struct {
	base
	Shared
	Text     string                    `json:"text"`
	Flag     bool                      `json:"flag"`
	Int      int                       `json:"int"`
	Small    int8                      `json:"small"`
	Long     int64                     `json:"long"`
	Unsigned uint64                    `json:"unsigned"`
	Float    float64                   `json:"float"`
	Float32  float32                   `json:"float32"`
	Time     time.Time                 `json:"time"`
	TimePtr  *time.Time                `json:"time_ptr"`
	Length   store.Duration            `json:"length"`
	Level    level                     `json:"level"`
	LevelPtr *level                    `json:"level_ptr,omitempty"`
	Choice   choice                    `json:"choice"`
	Choices  []choice                  `json:"choices"`
	Addr     netip.Addr                `json:"addr"`
	Bytes    []byte                    `json:"bytes"`
	Fixed    [3]int                    `json:"fixed"`
	Strings  []string                  `json:"strings"`
	Omitted  []string                  `json:"omitted,omitempty"`
	Structs  []Shared                  `json:"structs"`
	Pointers []*Shared                 `json:"pointers"`
	Map      map[string]string         `json:"map"`
	Maps     map[string]map[string]int `json:"maps"`
	ByNumber map[int]bool              `json:"by_number"`
	ByLevel  map[level]time.Time       `json:"by_level"`
	Any      any                       `json:"any"`
	Anys     map[string]any            `json:"anys"`
	List     []any                     `json:"list"`
	Ptr      *Shared                   `json:"ptr"`
	Number   *int64                    `json:"number,omitempty"`
	Nested   struct {
		Deep *everything `json:"deep,omitempty"`
	} `json:"nested"`
	Raw     json.RawMessage            `json:"raw,omitempty"`
	Raws    map[string]json.RawMessage `json:"raws"`
	RawPtr  *json.RawMessage           `json:"raw_ptr"`
	Skipped string                     `json:"-"`
	Odd     string                     `json:"$odd.name"`
	Quoted  int64                      `json:"quoted,string"`
	Zero    time.Time                  `json:"zero,omitzero"`
	private string
}

// full returns a value in which every field is set.
func full() everything {
	at := time.Date(2026, 7, 8, 9, 10, 11, 123456789, time.UTC)
	east := time.Date(2026, 7, 8, 9, 10, 11, 1, time.FixedZone("", 5*3600+1800))
	two, number, raw := level(2), int64(math.MinInt64), json.RawMessage(`[1e400]`)
	v := everything{
		base: base{Epoch: "e", Kept: 1}, Shared: Shared{Owner: "o"},
		Text: "é 日本 \u2028 𝒳 \x00 <&> \" \\", Flag: true, Int: -5, Small: -128, Long: math.MaxInt64, Unsigned: math.MaxUint64,
		Float: 0.1, Float32: 3.4e38, Time: at, TimePtr: &east, Length: store.Duration(90 * time.Second), Level: 3, LevelPtr: &two,
		Choice: choice{either: "x"}, Choices: []choice{{either: "y"}, {or: "z"}}, Addr: netip.MustParseAddr("fe80::1"),
		Bytes: []byte{0, 255, 1}, Fixed: [3]int{1, 2, 3}, Strings: []string{"", "a"}, Omitted: []string{"here"},
		Structs: []Shared{{"a"}, {""}}, Pointers: []*Shared{{"a"}, nil},
		Map:      map[string]string{"": "empty", "$set": "$", "a.b": "dot", "%2E": "percent", "\x00": "zero", "https://x.example/claim": "v", "ключ": "k"},
		Maps:     map[string]map[string]int{"a": {"b.c": 1}, "nil": nil, "empty": {}},
		ByNumber: map[int]bool{-1: true, 7: false}, ByLevel: map[level]time.Time{2: at},
		Any: map[string]any{"a": []any{1.5, "x", nil, true, []any{[]any{}}}}, Anys: map[string]any{"$in": 1.0, "a.b": nil, "t": "2026-07-08T09:10:11Z"},
		List: []any{[]any{1.0}, map[string]any{"": 2.0}}, Ptr: &Shared{"p"}, Number: &number,
		Raw:  json.RawMessage(`{"b":1,"a":12345678901234567890,"a":1.0,"e":1e400,"$where":{"x.y":[[]]}}`),
		Raws: map[string]json.RawMessage{"n": json.RawMessage(`-0.00`), "s": json.RawMessage(`"\u00e9<&>\u2028"`)}, RawPtr: &raw,
		Skipped: "lost", Odd: "odd", Quoted: math.MaxInt64, private: "lost",
	}
	v.Nested.Deep = &everything{Text: "inner", Raw: json.RawMessage(`"inner"`)}
	return v
}

// testValues compares what comes back with what encoding/json makes of it: that
// is the meaning of the tags.
func testValues(t *testing.T, h Harness) {
	k := open(t, h)
	table := declare(k, store.Spec[everything]{Name: "everything"})
	empty := everything{
		Strings: []string{}, Bytes: []byte{}, Structs: []Shared{}, Pointers: []*Shared{}, Map: map[string]string{},
		Maps: map[string]map[string]int{}, Anys: map[string]any{}, List: []any{}, Omitted: []string{}, Choices: []choice{},
		Raws: map[string]json.RawMessage{}, Ptr: &Shared{}, Any: "", Raw: json.RawMessage("null"),
	}
	for name, v := range map[string]everything{"zero": {}, "empty": empty, "full": full()} {
		text, err := json.Marshal(v)
		k.must(err)
		var want everything
		k.must(json.Unmarshal(text, &want))
		_, err = table.Create(k.ctx, "t", name, v)
		k.must(err)
		row, err := table.Get(k.ctx, "t", name)
		k.must(err)
		if diff := cmp.Diff(want, row.Value, cmp.AllowUnexported(everything{}, choice{}), cmp.Comparer(sameTime), cmp.Comparer(sameAddr), cmp.Comparer(sameRaw)); diff != "" {
			t.Errorf("%s value (-want +got):\n%s", name, diff)
		}
	}
}

// sameTime compares instants and offsets.
func sameTime(a, b time.Time) bool {
	return a.Equal(b) && a.Format(time.RFC3339Nano) == b.Format(time.RFC3339Nano)
}

func sameAddr(a, b netip.Addr) bool { return a == b }

// sameRaw compares raw JSON as it reads, because json.Marshal, which makes the
// wanted value here, escapes characters of HTML. It tells nil from null.
func sameRaw(a, b json.RawMessage) bool {
	escape := func(raw json.RawMessage) string {
		var out bytes.Buffer
		json.HTMLEscape(&out, raw)
		return out.String()
	}
	return (a == nil) == (b == nil) && escape(a) == escape(b)
}

type blob struct {
	Raw json.RawMessage `json:"raw"`
}

// testRaw wants raw JSON back as it was written, but for white space: numbers no
// float can hold, repeated and forbidden names, order, escapes.
func testRaw(t *testing.T, h Harness) {
	k := open(t, h)
	table := declare(k, store.Spec[blob]{Name: "blobs"})
	for name, c := range map[string]struct{ in, want string }{
		"large numbers":   {`[12345678901234567890,1e400,-1e-400,0.1000000000000000055511151231257827]`, ``},
		"minus zero":      {`-0`, ``},
		"form of numbers": {`[1.0,1e2,1E+2,100]`, ``},
		"names":           {`{"$set":{"a.b":1},"":2,"__proto__":3,"_id":4}`, ``},
		"repeated names":  {`{"a":1,"a":2}`, ``},
		"order":           {`{"z":1,"a":2,"m":3}`, ``},
		"escapes":         {`"\u0000\u00e9\ud834\udcb3\/<>&` + "\u2028\u2029" + `"`, ``},
		"lone surrogate":  {`"\ud800"`, ``},
		"white space":     {" {\n \"a\" : [ 1 , 2 ] }\t", `{"a":[1,2]}`},
		"nothing":         {``, `null`},
		"depth":           {strings.Repeat("[", 200) + strings.Repeat("]", 200), ``},
		"size":            {`"` + strings.Repeat("x", 1<<20) + `"`, ``},
	} {
		if c.want == "" {
			c.want = c.in
		}
		var v blob
		if c.in != "" {
			v.Raw = json.RawMessage(c.in)
		}
		_, err := table.Create(k.ctx, "t", name, v)
		k.must(err)
		row, err := table.Get(k.ctx, "t", name)
		k.must(err)
		if string(row.Value.Raw) != c.want {
			t.Errorf("%s: got %.100s, want %.100s", name, row.Value.Raw, c.want)
		}
	}
}

func testPlainValues(t *testing.T, h Harness) {
	k := open(t, h)
	texts := declare(k, store.Spec[string]{Name: "texts"})
	_, err := texts.Create(k.ctx, "t", "a", "text")
	k.must(err)
	text, err := texts.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "text", text.Value, "text")

	raws := declare(k, store.Spec[json.RawMessage]{Name: "raws"})
	_, err = raws.Create(k.ctx, "t", "a", json.RawMessage(`{"a":1e400}`))
	k.must(err)
	raw, err := raws.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "raw", string(raw.Value), `{"a":1e400}`)

	maps := declare(k, store.Spec[map[string][]int]{Name: "maps"})
	_, err = maps.Create(k.ctx, "t", "a", map[string][]int{"a.b": {1}})
	k.must(err)
	m, err := maps.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "map", m.Value, map[string][]int{"a.b": {1}})

	pointers := declare(k, store.Spec[*item]{Name: "pointers"})
	_, err = pointers.Create(k.ctx, "t", "a", &item{Name: "x"})
	k.must(err)
	p, err := pointers.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "pointer", p.Value.Name, "x")
}

// testBadValue wants a value that has no JSON refused, alone and unharmful.
func testBadValue(t *testing.T, h Harness) {
	k := open(t, h)
	table := declare(k, store.Spec[blob]{Name: "blobs"})
	bad := blob{Raw: json.RawMessage(`{"a":`)}
	errs := table.CreateMany(k.ctx, "t", []store.Item[blob]{{ID: "a"}, {ID: "b", Value: bad}, {ID: "c"}})
	k.must(errs[0])
	k.must(errs[2])
	for doing, err := range map[string]error{"create many": errs[1], "create": second(table.Create(k.ctx, "t", "d", bad))} {
		if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrExists) {
			t.Errorf("%s of broken raw JSON: got error %v", doing, err)
		}
	}
	row, err := table.Get(k.ctx, "t", "a")
	k.must(err)
	if _, err = table.Swap(k.ctx, "t", "a", row.Rev, bad); err == nil {
		t.Error("swap to broken raw JSON succeeded")
	}
	large := blob{Raw: json.RawMessage(`"` + strings.Repeat("x", store.MaxRecord) + `"`)}
	k.want("create of a large value", second(table.Create(k.ctx, "t", "e", large)), store.ErrTooLarge)
	errs = table.CreateMany(k.ctx, "t", []store.Item[blob]{{ID: "f", Value: large}, {ID: "a"}})
	k.want("create many of a large value", errs[0], store.ErrTooLarge)
	k.want("its neighbour", errs[1], store.ErrExists)
	n, err := table.Count(k.ctx, "t", store.Query{})
	k.must(err)
	same(t, "records", n, 2)
}

func second[T any](_ T, err error) error { return err }
