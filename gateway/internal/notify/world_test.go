package notify_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// world is a notifier on an empty store, with senders that note what they get
// and a clock.
type world struct {
	*notify.Notifier
	*storetest.Clock

	t         *testing.T
	config    notify.Config
	driver    store.Driver
	store     *store.Store
	mail, sms *station
	log       *lockedBuffer
}

func open(t *testing.T, options ...func(*notify.Config)) *world {
	t.Helper()
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, Clock: storetest.NewClock(time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)),
		driver: storetest.Memory(t), mail: &station{}, sms: &station{}, log: &lockedBuffer{},
	}
	w.store = store.New(w.driver, w.Now)
	w.config = notify.Config{
		Ring: ring, Mail: w.mail, SMS: w.sms, Now: w.Now, Random: func() float64 { return 0.5 },
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	for _, o := range options {
		o(&w.config)
	}
	w.Notifier = w.another()
	return w
}

// another returns a second notifier on the same store.
func (w *world) another() *notify.Notifier {
	w.t.Helper()
	n, err := notify.Open(w.t.Context(), w.store, w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// send sends m, which holds for an hour unless it says otherwise.
func (w *world) send(m notify.Message) {
	w.t.Helper()
	if err := w.Send(w.t.Context(), w.lasting(m)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lasting(m notify.Message) notify.Message {
	if m.Expires.IsZero() {
		m.Expires = w.Now().Add(time.Hour)
	}
	return m
}

func (w *world) deliver() {
	w.t.Helper()
	if err := w.Deliver(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) list(state notify.State) []notify.Entry {
	w.t.Helper()
	list, err := w.List(w.t.Context(), "t", state, store.Page{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// station is a Sender that notes its letters and answers as it is told.
type station struct {
	mu     sync.Mutex
	got    []notify.Letter
	answer func(n int, l notify.Letter) (string, error) // n letters have come, this one included
}

// Send implements notify.Sender.
func (s *station) Send(_ context.Context, l notify.Letter) (string, error) {
	s.mu.Lock()
	s.got = append(s.got, l)
	n, answer := len(s.got), s.answer
	s.mu.Unlock()
	if answer == nil {
		return "250 queued", nil
	}
	return answer(n, l)
}

func (s *station) letters() []notify.Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *station) by(k notify.Kind) notify.Letter {
	for _, l := range s.letters() {
		if l.Kind == k {
			return l
		}
	}
	return notify.Letter{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *lockedBuffer) has(parts ...string) bool {
	for line := range strings.Lines(b.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return true
		}
	}
	return false
}
