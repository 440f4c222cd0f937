package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/notify"
)

// TestWebhook: what the provider of SMS gets, and how its answers are read.
func TestWebhook(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		want   notify.State
	}{
		{200, notify.Sent},
		{202, notify.Sent},
		{302, notify.Queued},
		{400, notify.Dead},
		{404, notify.Dead},
		{408, notify.Queued},
		{429, notify.Queued},
		{500, notify.Queued},
		{503, notify.Queued},
	} {
		t.Run(fmt.Sprint(tc.status), func(t *testing.T) {
			t.Parallel()
			type request struct {
				header http.Header
				body   []byte
			}
			got := make(chan request, 1)
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got <- request{r.Header, body}
				rw.WriteHeader(tc.status)
				_, _ = rw.Write(body) // servers like to repeat
			}))
			t.Cleanup(server.Close)
			w := open(t, func(c *notify.Config) {
				c.SMS = notify.NewWebhook(notify.Webhook{
					URL: server.URL + "/send", HeaderName: "Authorization", HeaderValue: "Bearer t0ken", Secret: "hush",
					Client: server.Client(), Now: c.Now,
				})
			})
			w.send(sms("+48 512-345-678"))
			w.deliver()
			list := w.list(tc.want)
			if len(list) != 1 || !strings.HasPrefix(list[0].Answer, fmt.Sprint(tc.status)) || list[0].To != "+48*******78" {
				t.Fatalf("%s holds %+v", tc.want, list)
			}
			r := <-got
			var body map[string]string
			if err := json.Unmarshal(r.body, &body); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"to": "+48512345678", "kind": "otp", "tenant_id": "t", "workspace_id": "w", "message_id": list[0].ID,
				"text": "Acme & Sons: 271828 is your code, valid 5 minutes. Never pass it on. Did not ask for it? Ignore this.",
			}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Errorf("the body (-want +got):\n%s", diff)
			}
			stamp := fmt.Sprint(w.Now().Unix())
			mac := hmac.New(sha256.New, []byte("hush"))
			mac.Write([]byte(stamp + "." + string(r.body)))
			for name, want := range map[string]string{
				"Authorization": "Bearer t0ken", "Content-Type": "application/json", "Idempotency-Key": list[0].ID,
				"X-Gatepost-Signature": "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil)),
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			for _, secret := range []string{"271828", "512345678", "t0ken"} {
				if strings.Contains(w.log.String(), secret) || strings.Contains(list[0].Answer, secret) {
					t.Errorf("the log shows %s: %s", secret, w.log)
				}
			}
		})
	}
}
