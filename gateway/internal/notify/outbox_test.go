package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// table is the outbox as it stands in the store; whatever is written through it
// is due at once.
func (w *world) table() *store.Table[json.RawMessage] {
	w.t.Helper()
	table, err := store.Declare(w.t.Context(), w.store, store.Spec[json.RawMessage]{
		Name: "outbox", Indexes: map[string]func(*json.RawMessage) (store.Key, bool){
			"state": func(*json.RawMessage) (store.Key, bool) { return store.Key{}, false }, // declared, or it is gone
		},
		Due: func(*json.RawMessage) time.Time { return w.Now() },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return table
}

func (w *world) rows() []store.Row[json.RawMessage] {
	w.t.Helper()
	rows, err := w.table().Range(w.t.Context(), "t", "", store.Page{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func (w *world) raw() string {
	var all strings.Builder
	for _, r := range w.rows() {
		all.Write(r.Value)
	}
	return all.String()
}

// busy is a server that never has time.
func busy(int, notify.Letter) (string, error) { return "", errors.New("451 busy") }

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		random float64
		life   time.Duration
		want   []string // when it was tried
	}{
		{"an hour", 0.5, time.Hour, []string{"0s", "5s", "35s", "2m35s", "7m35s", "17m35s", "37m35s"}},
		{"less", 0, time.Hour, []string{"0s", "4s", "28s", "2m4s", "6m4s", "14m4s", "30m4s", "54m4s"}},
		{"five minutes", 0.5, 5 * time.Minute, []string{"0s", "5s", "35s", "2m35s"}},
		{"three seconds", 0.5, 3 * time.Second, []string{"0s"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, func(c *notify.Config) { c.Random = func() float64 { return tc.random } })
			began := w.Now()
			var got []string
			w.mail.answer = func(int, notify.Letter) (string, error) {
				got = append(got, w.Now().Sub(began).String())
				return "", errors.New("451 busy")
			}
			m := sample(notify.OTP)
			m.Expires = began.Add(tc.life)
			w.send(m)
			for len(w.list(notify.Queued)) > 0 {
				w.deliver()
				w.Advance(time.Second)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("tried (-want +got):\n%s", diff)
			}
			dead := w.list(notify.Dead)
			if len(dead) != 1 || dead[0].Answer != "451 busy" || dead[0].Tries != len(tc.want) {
				t.Errorf("the dead letter is %+v", dead)
			}
		})
	}
}

// TestLateMessages: nobody gets a code that has ended, also when no gateway ran.
func TestLateMessages(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.send(sample(notify.OTP))
	w.Advance(time.Hour)
	w.deliver()
	dead := w.list(notify.Dead)
	if len(w.mail.letters()) != 0 || len(dead) != 1 || dead[0].Tries != 0 || dead[0].Answer != "it expired before it could be sent" {
		t.Errorf("sent %v, dead %+v", w.mail.letters(), dead)
	}
}

func TestSecretsInTheStore(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.mail.answer = func(n int, l notify.Letter) (string, error) {
		switch n {
		case 1:
			return "250 2.1.5 <" + strings.ToUpper(l.To) + "> ok\r\n", nil
		case 2:
			return "", &notify.Failure{Permanent: true, Answer: "550 spam: " + l.Text}
		}
		return "", errors.New("no")
	}
	for _, k := range []notify.Kind{notify.ActivateWithLink, notify.ResetWithLink, notify.VerifyWithLink} {
		w.send(sample(k))
	}
	secrets := []string{"31415926", "jan@example.com", "code=MTIz", "Acme"}
	for _, secret := range secrets {
		if strings.Contains(strings.ToLower(w.raw()), strings.ToLower(secret)) {
			t.Errorf("the outbox shows %s: %s", secret, w.raw())
		}
	}
	if n := strings.Count(w.raw(), `"sealed":"`); n != 3 {
		t.Errorf("%d of 3 messages are sealed: %s", n, w.raw())
	}
	w.deliver()
	if n := strings.Count(w.raw(), `"sealed":"`); n != 1 {
		t.Errorf("%d messages are kept whole, want the one that is queued: %s", n, w.raw())
	}
	for _, secret := range secrets[:3] {
		for _, shown := range []string{w.raw(), w.log.String(), fmt.Sprint(w.list(notify.Sent), w.list(notify.Dead), w.list(notify.Queued))} {
			if strings.Contains(strings.ToLower(shown), strings.ToLower(secret)) {
				t.Errorf("%s is shown: %s", secret, shown)
			}
		}
	}
	if e := w.list(notify.Sent)[0]; e.Answer != "250 2.1.5 <j***@example.com> ok" {
		t.Errorf("the answer is %q", e.Answer)
	}
}

// TestSealedForItsPlace: a sealed message that was copied elsewhere does not
// open, and one that another ring sealed waits for a gateway that has it.
func TestSealedForItsPlace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.send(sample(notify.OTP))
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	copied := w.rows()[0]
	if _, err := w.table().Create(t.Context(), "thief", copied.ID, copied.Value); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if n := len(w.mail.letters()); n != 1 || !w.log.has("tenant=thief", vault.ErrBroken.Error()) {
		t.Errorf("%d letters; the log: %s", n, w.log)
	}

	w.send(sample(notify.ResetWithCode))
	own := w.config.Ring
	w.config.Ring = ring
	if err := w.another().Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := w.list(notify.Queued); len(e) != 1 || !strings.Contains(e[0].Answer, vault.ErrUnknownKey.Error()) {
		t.Fatalf("with another ring: %+v", e)
	}
	w.config.Ring = own
	w.Advance(5 * time.Second)
	w.deliver()
	if len(w.list(notify.Sent)) != 2 {
		t.Errorf("got %+v", w.list(notify.Queued))
	}
}

func TestKeeping(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.mail.answer = func(n int, _ notify.Letter) (string, error) {
		if n == 1 {
			return "250 ok", nil
		}
		return "", &notify.Failure{Permanent: true, Answer: "550 no such user"}
	}
	w.send(sample(notify.OTP))
	w.deliver()
	w.send(sample(notify.ResetWithCode))
	w.deliver()
	count := func() []int { return []int{len(w.list(notify.Sent)), len(w.list(notify.Dead))} }
	for _, step := range []struct {
		after time.Duration
		want  []int
	}{
		{0, []int{1, 1}},
		{24*time.Hour - time.Second, []int{1, 1}},
		{time.Second, []int{0, 1}},
		{6 * 24 * time.Hour, []int{0, 0}},
	} {
		w.Advance(step.after)
		if diff := cmp.Diff(step.want, count()); diff != "" {
			t.Errorf("after %v more: sent and dead (-want +got):\n%s", step.after, diff)
		}
	}
}

// TestTwoGateways: while one has a message the other leaves it alone, and takes
// it over when the first has died.
func TestTwoGateways(t *testing.T) {
	t.Parallel()
	w := open(t)
	other := w.another()
	inside, leave := make(chan struct{}), make(chan struct{})
	w.mail.answer = func(n int, _ notify.Letter) (string, error) {
		if n == 1 {
			close(inside)
			<-leave
		}
		return "250 ok", nil
	}
	w.send(sample(notify.OTP))
	var wg sync.WaitGroup
	wg.Go(w.deliver)
	<-inside
	w.Advance(119 * time.Second)
	if err := other.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(w.mail.letters()); n != 1 {
		t.Errorf("%d letters while the first gateway sends", n)
	}
	w.Advance(time.Second)
	if err := other.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(leave)
	wg.Wait()
	letters := w.mail.letters()
	if len(letters) != 2 || letters[0].ID != letters[1].ID {
		t.Errorf("after the lease: %+v", letters)
	}
	if sent := w.list(notify.Sent); len(sent) != 1 || sent[0].Tries != 2 {
		t.Errorf("got %+v", sent)
	}
	if !w.log.has("it may be sent twice") {
		t.Errorf("the log does not say so: %s", w.log)
	}
}

// TestManyGateways: gateways that look at the same moment share the work.
func TestManyGateways(t *testing.T) {
	t.Parallel()
	w := open(t)
	const messages = 100
	for i := range messages {
		m := sample(notify.OTP)
		m.To = fmt.Sprintf("u%d@example.com", i)
		w.send(m)
	}
	var wg sync.WaitGroup
	for range 4 {
		n := w.another()
		wg.Go(func() {
			if err := n.Deliver(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.deliver()
	seen := map[string]int{}
	for _, l := range w.mail.letters() {
		seen[l.To]++
	}
	if len(seen) != messages || len(w.mail.letters()) != messages {
		t.Errorf("%d letters to %d people, want %d", len(w.mail.letters()), len(seen), messages)
	}
}

// TestAtOnce: with Run nobody waits for the job.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	came := make(chan notify.Entry, 1)
	w := open(t, func(c *notify.Config) {
		c.Outcome = func(_ context.Context, e notify.Entry) { came <- e }
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.send(sample(notify.OTP))
	if e := <-came; e.State != notify.Sent || e.Tenant != "t" || e.User != "u" || e.Kind != notify.OTP || e.To != "j***@example.com" {
		t.Errorf("told of %+v", e)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.deliver()
	if n := len(w.mail.letters()); n != 1 {
		t.Errorf("%d letters", n)
	}
}

// TestStoreFails: a message that cannot be written is not promised.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	w := open(t)
	faulty := storetest.NewFaulty(w.driver)
	n, err := notify.Open(t.Context(), store.New(faulty, w.Now), w.config)
	if err != nil {
		t.Fatal(err)
	}
	faulty.Fail("insert", "outbox", 1, nil)
	if err := n.Send(t.Context(), w.lasting(sample(notify.OTP))); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	w.deliver()
	if len(w.mail.letters()) != 0 {
		t.Error("it was sent")
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.mail.answer = busy
	for i := range 5 {
		m := sample(notify.OTP)
		m.To = fmt.Sprintf("%d@example.com", i)
		w.send(m)
		w.Advance(time.Second)
	}
	other := sample(notify.OTP)
	other.Tenant = "other"
	w.send(other)
	page := store.Page{Desc: true, Limit: 2}
	var got []string
	for {
		list, err := w.List(t.Context(), "t", notify.Queued, page)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			got = append(got, e.To)
		}
		page.After = list[len(list)-1].ID
	}
	if diff := cmp.Diff("4***@example.com 3***@example.com 2***@example.com 1***@example.com 0***@example.com", strings.Join(got, " ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := w.List(t.Context(), "t", "nobody", store.Page{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestRefusedMessages(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		set  func(*notify.Message)
		want fault.Kind
	}{
		{"no address", func(m *notify.Message) { m.To = "jan" }, fault.Unprocessable},
		{"two addresses", func(m *notify.Message) { m.To = "a@example.com, b@example.com" }, fault.Unprocessable},
		{"a name with it", func(m *notify.Message) { m.To = "Jan <jan@example.com>" }, fault.Unprocessable},
		{"a header with it", func(m *notify.Message) { m.To = "jan@example.com\r\nBcc: x@y" }, fault.Unprocessable},
		{"no number", func(m *notify.Message) { m.Channel, m.To = notify.SMS, "512 345 678" }, fault.Unprocessable},
		{"no kind", func(m *notify.Message) { m.Kind = "news" }, fault.Internal},
		{"no code", func(m *notify.Message) { m.Data.Code = "" }, fault.Internal},
		{"no link", func(m *notify.Message) { m.Data.Link = "" }, fault.Internal},
		{"a script for a link", func(m *notify.Message) { m.Data.Link = "javascript:alert(1)" }, fault.Internal},
		{"expired", func(m *notify.Message) { m.Expires = m.Expires.Add(-time.Hour) }, fault.Internal},
		{"no channel", func(m *notify.Message) { m.Channel = "voice" }, fault.Internal},
		{"no tenant", func(m *notify.Message) { m.Tenant = "" }, fault.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			m := w.lasting(sample(notify.ActivateWithLink))
			tc.set(&m)
			if err := w.Send(t.Context(), m); err == nil || fault.Read(err).Kind != tc.want {
				t.Errorf("got %v", err)
			}
			if w.raw() != "" {
				t.Error("it was written")
			}
		})
	}
}

func TestNoSender(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *notify.Config) { c.SMS = nil })
	if !w.Can(notify.Email) || w.Can(notify.SMS) || w.Can("voice") {
		t.Error("Can does not say what is configured")
	}
	m := w.lasting(sample(notify.OTP))
	m.Channel, m.To = notify.SMS, "+48512345678"
	if err := w.Send(t.Context(), m); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	if notify.Channel(m.To) != notify.SMS || notify.Channel("a@b") != notify.Email {
		t.Error("Channel is wrong")
	}
}
