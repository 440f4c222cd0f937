package storetest

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Bench measures a backend; open returns a driver on an empty one. Writers run
// 200 at a time where it says so, because that is when commits are shared.
func Bench(b *testing.B, open func(testing.TB) store.Driver) {
	const writers, rows = 200, 2000
	begin := func(b *testing.B) *store.Table[item] {
		b.Helper()
		table, err := store.Declare(b.Context(), store.New(open(b), nil), itemSpec("items"))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		return table
	}
	filled := func(b *testing.B) *store.Table[item] {
		b.Helper()
		table := begin(b)
		for _, err := range table.CreateMany(b.Context(), "t", benchRows(rows)) {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ResetTimer()
		return table
	}
	var next atomic.Int64
	b.Run("create alone", func(b *testing.B) {
		table := begin(b)
		for b.Loop() {
			benchMust(b, second(table.Create(b.Context(), "t", fmt.Sprint(next.Add(1)), benchItem(1))))
		}
	})
	b.Run("create by 200", func(b *testing.B) {
		table := begin(b)
		together(b, writers, func() error {
			return second(table.Create(b.Context(), "t", fmt.Sprint(next.Add(1)), benchItem(1)))
		})
	})
	b.Run("swap by 200", func(b *testing.B) {
		table := filled(b)
		together(b, writers, func() error {
			id := fmt.Sprint(next.Add(1) % rows)
			return second(table.Update(b.Context(), "t", id, func(v *item) error { v.Number++; return nil }))
		})
	})
	b.Run("take by 200", func(b *testing.B) {
		table := begin(b)
		together(b, writers, func() error {
			id := fmt.Sprint(next.Add(1))
			if _, err := table.Create(b.Context(), "t", id, benchItem(1)); err != nil {
				return err
			}
			return second(table.Take(b.Context(), "t", id))
		})
	})
	b.Run("get", func(b *testing.B) {
		table := filled(b)
		for b.Loop() {
			benchMust(b, second(table.Get(b.Context(), "t", "77")))
		}
	})
	b.Run("get in parallel", func(b *testing.B) {
		table := filled(b)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				benchMust(b, second(table.Get(b.Context(), "t", "77")))
			}
		})
	})
	b.Run("find 20", func(b *testing.B) {
		table := filled(b)
		for b.Loop() {
			benchMust(b, second(table.Find(b.Context(), "t", store.Query{Index: "group", Equal: "3"}, store.Page{})))
		}
	})
	b.Run("count 200", func(b *testing.B) {
		table := filled(b)
		for b.Loop() {
			benchMust(b, second(table.Count(b.Context(), "t", store.Query{Index: "group", Equal: "3"})))
		}
	})
}

func benchItem(i int) item {
	return item{Name: "somebody@example.com", Group: fmt.Sprint(i % 10), Place: fmt.Sprintf("%08d", i), Number: int64(i)}
}

func benchRows(n int) []store.Item[item] {
	rows := make([]store.Item[item], n)
	for i := range rows {
		rows[i] = store.Item[item]{ID: fmt.Sprint(i), Value: benchItem(i)}
	}
	return rows
}

func benchMust(b *testing.B, err error) {
	if err != nil {
		b.Error(err)
	}
}

// together runs fn b.N times in all, n at a time, and reports the rate.
func together(b *testing.B, n int, fn func() error) {
	b.SetParallelism(max(1, n/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			benchMust(b, fn())
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
