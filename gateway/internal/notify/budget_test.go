package notify_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func limited(c *notify.Config) { c.Limits = notify.DefaultLimits() }

func sms(to string) notify.Message {
	m := sample(notify.OTP)
	m.Channel, m.To = notify.SMS, to
	return m
}

func to(kind notify.Kind, address string) notify.Message {
	m := sample(kind)
	m.To = address
	return m
}

func by(network string) context.Context {
	return limit.WithOrigin(context.Background(), limit.Origin{Network: network})
}

// TestBudgets asks for messages again and again; each case says how many of one
// kind of asking pass, and how long the next has to wait.
func TestBudgets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		set    func(*notify.Limits)
		apart  time.Duration // between two askings
		ask    func(i int) (context.Context, notify.Message)
		passes int
		wait   time.Duration
	}{
		{
			name: "one kind to one address", passes: 1, wait: 30 * time.Second,
			ask: func(i int) (context.Context, notify.Message) {
				return by(fmt.Sprint(i)), to(notify.OTP, []string{"jan@example.com", "JAN@example.com"}[i%2])
			},
		},
		{
			name: "an hour to one address", apart: 31 * time.Second, passes: 10, wait: time.Hour - 310*time.Second,
			ask: func(i int) (context.Context, notify.Message) {
				return by(fmt.Sprint(i)), to([]notify.Kind{notify.OTP, notify.ResetWithCode}[i%2], "jan@example.com")
			},
		},
		{
			name: "a day to one address", apart: 10 * time.Minute, passes: 30, wait: 24*time.Hour - 300*time.Minute,
			ask: func(i int) (context.Context, notify.Message) {
				return by(fmt.Sprint(i)), to(notify.OTP, "jan@example.com")
			},
		},
		{
			name: "one network", set: func(l *notify.Limits) { l.PerNetworkHour = 60 }, passes: 60, wait: time.Hour,
			ask: func(i int) (context.Context, notify.Message) {
				return by("net"), to(notify.OTP, fmt.Sprint(i, "@example.com"))
			},
		},
		{
			name: "nobody knows who asks", set: func(l *notify.Limits) { l.PerNetworkHour = 60 }, passes: 60, wait: time.Hour,
			ask: func(i int) (context.Context, notify.Message) {
				return context.Background(), to(notify.OTP, fmt.Sprint(i, "@example.com"))
			},
		},
		{
			name: "one network to one address", apart: 31 * time.Second, passes: 5, wait: time.Hour - 155*time.Second,
			ask: func(int) (context.Context, notify.Message) { return by("net"), to(notify.OTP, "jan@example.com") },
		},
		{
			name: "a browser that is known", apart: 31 * time.Second, passes: 10, wait: time.Hour - 310*time.Second,
			ask: func(int) (context.Context, notify.Message) {
				m := to(notify.OTP, "jan@example.com")
				return limit.WithOrigin(context.Background(), limit.Origin{Network: "net", Device: func(who string) string {
					return map[string]string{m.Pool + "/" + m.User: "his laptop"}[who]
				}}), m
			},
		},
		{
			name: "an operator", passes: 100,
			ask: func(i int) (context.Context, notify.Message) {
				m := to(notify.OTP, fmt.Sprint(i, "@example.com"))
				m.Operator = true
				return by("net"), m
			},
		},
		{
			name: "SMS to one country", passes: 50, wait: time.Hour,
			ask: func(i int) (context.Context, notify.Message) {
				return by(fmt.Sprint(i)), sms(fmt.Sprintf("+485123456%02d", i))
			},
		},
		{
			name: "SMS of a tenant", set: func(l *notify.Limits) { l.SMSPerHour = 3 }, passes: 3, wait: time.Hour,
			ask: func(i int) (context.Context, notify.Message) {
				return by(fmt.Sprint(i)), sms([]string{"+48512345678", "+4915112345678", "+447400123456", "+33612345678"}[i%4])
			},
		},
		{
			name: "no limits", set: func(l *notify.Limits) { *l = notify.Limits{} }, passes: 100,
			ask: func(int) (context.Context, notify.Message) { return by("net"), to(notify.OTP, "jan@example.com") },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, limited, func(c *notify.Config) {
				if tc.set != nil {
					tc.set(&c.Limits)
				}
			})
			passed := 0
			var err error
			for i := 0; i < 100 && err == nil; i++ {
				ctx, m := tc.ask(i)
				if err = w.Send(ctx, w.lasting(m)); err == nil {
					passed++
					w.Advance(tc.apart)
				}
			}
			if passed != tc.passes {
				t.Errorf("%d passed, want %d; then %v", passed, tc.passes, err)
			}
			if tc.wait == 0 {
				return
			}
			if !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter != tc.wait {
				t.Errorf("refused by %v, after %v, want %v", err, fault.Read(err).RetryAfter, tc.wait)
			}
			all := 0
			for _, s := range []notify.State{notify.Queued, notify.Sent, notify.Dead} {
				list, err := w.List(t.Context(), "t", s, store.Page{Limit: 200})
				if err != nil {
					t.Fatal(err)
				}
				all += len(list)
			}
			if all != tc.passes {
				t.Errorf("%d messages were written, want %d", all, tc.passes)
			}
			if !w.log.has("a message was refused") || strings.Contains(w.log.String(), "jan@example.com") {
				t.Errorf("the log:\n%s", w.log)
			}
		})
	}
}

// TestOverOnesOwnBudget: who is over the budget of their network cannot use up
// the budget of the person they pester.
func TestOverOnesOwnBudget(t *testing.T) {
	t.Parallel()
	w := open(t, limited, func(c *notify.Config) { c.Limits.PerNetworkHour = 1 })
	ctx := by("bad")
	if err := w.Send(ctx, w.lasting(to(notify.OTP, "other@example.com"))); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := w.Send(ctx, w.lasting(sample(notify.OTP))); !fault.Is(err, fault.TooMany) {
			t.Fatalf("got %v", err)
		}
	}
	if err := w.Send(by("home"), w.lasting(sample(notify.OTP))); err != nil {
		t.Errorf("the person themselves: %v", err)
	}
}

// TestParallelBudget: gateways count together, also at the same moment.
func TestParallelBudget(t *testing.T) {
	t.Parallel()
	w := open(t, limited)
	gateways := []*notify.Notifier{w.another(), w.another()}
	var passed atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := gateways[i%2].Send(by(fmt.Sprint(i)), w.lasting(sample(notify.OTP)))
			switch {
			case err == nil:
				passed.Add(1)
			case !fault.Is(err, fault.TooMany):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d of 50 passed", n)
	}
}

func TestCountries(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *notify.Config) { c.Limits.SMSCountries = []string{"PL", "US"} })
	for number, ok := range map[string]bool{
		"+48512345678": true, "+12025550123": true,
		"+18765550123":   false, // Jamaica, behind the same +1
		"+4915112345678": false, "+883510000000092": false,
	} {
		err := w.Send(t.Context(), w.lasting(sms(number)))
		if ok && err != nil || !ok && !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", number, err)
		}
	}
	if !notify.Country("PL") || notify.Country("XX") || notify.Country("pl") {
		t.Error("Country is wrong")
	}
}

// TestPretend: for somebody who does not exist the budgets are the same, and
// nothing leaves.
func TestPretend(t *testing.T) {
	t.Parallel()
	w := open(t, limited)
	m := w.lasting(to(notify.ResetWithCode, "nobody"))
	if err := w.Pretend(by("net"), m); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.raw(), `"sealed":"`) {
		t.Error("nothing was written: the time tells")
	}
	if err := w.Pretend(by("net"), m); !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter != 30*time.Second {
		t.Errorf("at once again: %v", err)
	}
	m.To = "jan@example.com"
	if err := w.Pretend(by("net"), m); err != nil {
		t.Fatal(err)
	}
	if err := w.Send(by("net"), m); !fault.Is(err, fault.TooMany) {
		t.Errorf("Send after Pretend: %v", err)
	}
	m.Channel = notify.SMS
	if err := w.Pretend(by("net"), m); err != nil {
		t.Errorf("no number: %v", err)
	}
	w.deliver()
	w.Advance(time.Minute)
	w.deliver()
	if n := len(w.mail.letters()) + len(w.sms.letters()); n != 0 {
		t.Errorf("%d letters to nobody", n)
	}
	if w.raw() != "" {
		t.Errorf("a trace is left: %s", w.raw())
	}
}
