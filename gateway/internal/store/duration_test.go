package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestDurationText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   time.Duration
		want string
	}{
		{"an hour", time.Hour, `"1h0m0s"`},
		{"zero", 0, `"0s"`},
		{"negative", -90 * time.Second, `"-1m30s"`},
		{"fine", 1500 * time.Microsecond, `"1.5ms"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(store.Duration(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			var back store.Duration
			if err := json.Unmarshal(got, &back); err != nil || time.Duration(back) != c.in {
				t.Errorf("read back %v, %v; want %v", time.Duration(back), err, c.in)
			}
		})
	}
}

func TestDurationRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"1 hour"`, `"60"`, `60`, `"1h0m0s "`} {
		d := store.Duration(time.Minute)
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s was read as %v", text, time.Duration(d))
		}
	}
	d := store.Duration(time.Minute)
	if err := json.Unmarshal([]byte(`""`), &d); err != nil || d != 0 {
		t.Errorf("the empty text reads as %v, %v; want zero", time.Duration(d), err)
	}
}
