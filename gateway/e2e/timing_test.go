package e2e_test

import (
	"net/http"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"
)

// clock is one public form that names a person, and how long its answers take.
type clock struct {
	name   string
	status int
	send   func(t *testing.T, who string) *http.Response
}

// Nobody learns from the time of an answer who has an account: medians of known
// and unknown names, asked in turn, differ by 5 % at most. GATEPOST_FAULT_ROUNDS
// asks a thousand times instead of a hundred.
//
// It is not parallel, so that nothing of this package runs beside it; but other
// packages and other programs of the machine do. A measurement that was disturbed
// is repeated: three times must show a difference before it counts as one.
func TestTimeTellsNothing(t *testing.T) { //nolint:paralleltest // see above
	d := startDemo(t, noCooldown, "GATEPOST_MESSAGES__LIMITS__PER_ADDRESS_HOUR=0", "GATEPOST_MESSAGES__LIMITS__PER_ADDRESS_DAY=0",
		"GATEPOST_MESSAGES__LIMITS__PER_NETWORK_HOUR=0")
	d.everyWay(t)
	for _, kind := range []string{"identity_authentication", "identity_code_verify"} {
		d.api(t, d.clientToken(t, "admin"), http.MethodPut, "/api/admin/"+d.Tenant+"/bruteforce",
			map[string]any{"protected_type": kind, "max_attempts": 0, "block_duration": "1m0s"}, http.StatusCreated, nil)
	}
	rounds := 100
	if os.Getenv("GATEPOST_FAULT_ROUNDS") != "" {
		rounds = 1000
	}
	for _, c := range d.clocks(t) {
		for try := 1; ; try++ {
			known, unknown := c.measure(t, rounds)
			apart := float64((known - unknown).Abs()) / float64(min(known, unknown))
			t.Logf("%s, %d times each: known %s, unknown %s, apart %.1f %%", c.name, rounds, known, unknown, 100*apart)
			if apart <= 0.05 {
				break
			}
			if try == 3 {
				t.Errorf("%s: the time tells who has an account", c.name)
				break
			}
		}
	}
}

// clocks are the sign-in by password, and the requests for a code and a reset.
func (d *demo) clocks(t *testing.T) []clock {
	t.Helper()
	c := d.browser(t)
	post := func(page, body string, more url.Values) func(*testing.T, string) *http.Response {
		base, err := url.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		action, fields, err := form(base, body)
		if err != nil {
			t.Fatal(err)
		}
		return func(t *testing.T, who string) *http.Response {
			t.Helper()
			more.Set("identifier", who)
			for name, v := range fields {
				if !more.Has(name) {
					more[name] = v
				}
			}
			resp, err := c.PostForm(action, more)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
	}
	resp, login := get(t, c, d.AppURL)
	at := resp.Request.URL.String()
	resp, reset := get(t, c, d.BaseURL+"/"+d.Tenant+"/identity/"+d.PoolID+"/reset?server_id="+d.Workspace)
	return []clock{
		{"password", http.StatusUnauthorized, post(at, login, url.Values{"password": {"not the password"}})},
		{"code", http.StatusOK, post(at, login, url.Values{"authn_mode": {"otp_send_view"}, "action": {"send_otp"}})},
		{"reset", http.StatusOK, post(resp.Request.URL.String(), reset, url.Values{})},
	}
}

// measure returns the medians of answers about alice and about nobody.
func (c *clock) measure(t *testing.T, rounds int) (known, unknown time.Duration) {
	t.Helper()
	took := map[string][]time.Duration{}
	names := []string{alice, "nobody@example.com"}
	for i := range 2 * rounds {
		who := names[(i+i/2)%2] // either is first as often
		began := time.Now()
		resp := c.send(t, who)
		_ = text(t, resp)
		took[who] = append(took[who], time.Since(began))
		if resp.StatusCode != c.status {
			t.Fatalf("%s of %s: %d", c.name, who, resp.StatusCode)
		}
	}
	for _, list := range took {
		slices.Sort(list)
	}
	return took[names[0]][rounds/2], took[names[1]][rounds/2]
}
