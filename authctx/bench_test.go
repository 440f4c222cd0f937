package authctx_test

import (
	"encoding/json"
	"testing"

	"github.com/gatepost/gatepost/authctx"
)

func BenchmarkLookup(b *testing.B) {
	c := alice(b)
	for name, path := range map[string]string{"top": "email", "nested": "address.locality", "missing": "address.x.y"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Lookup(path)
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	c := alice(b)
	whole := c.View()
	whole["roles"] = []any{"reader", "writer"}
	for name, set := range map[string]map[string]any{"one": {"roles": []any{"reader", "writer"}}, "whole": whole} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Apply(script, set, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRebase(b *testing.B) {
	base := alice(b)
	c := base
	for i := range 5 {
		var err error
		if c, err = c.Apply(app, map[string]any{string(rune('a' + i)): i}, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Rebase(base); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMapPredefined(b *testing.B) {
	source, ms := alice(b).View(), authctx.PredefinedMappings()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := authctx.Map(source, ms); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	text, err := json.Marshal(alice(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c authctx.Context
			if err := json.Unmarshal(text, &c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		c := alice(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
