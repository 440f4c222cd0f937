package changes_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
)

func BenchmarkAppend(b *testing.B) {
	l := newWorld(b).log(changes.Config{Now: time.Now})
	b.ReportAllocs()
	for b.Loop() {
		l.append("1")
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	w := newWorld(b)
	l := w.log(changes.Config{Now: time.Now})
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.append("1")
		}
	})
	b.ReportMetric(float64(b.N)/float64(w.driver.inserts.Load()), "entries/slot")
}

// What every idle gateway asks twice a second.
func BenchmarkPollIdle(b *testing.B) {
	l := newWorld(b).log(changes.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now})
	l.append("1")
	b.ReportAllocs()
	for b.Loop() {
		l.catchUp()
	}
}
