package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries "t=<Unix seconds>,v1=<HMAC-SHA256 in hexadecimal>" of a
// webhook's body. The MAC is over the digits of t, a dot and the body.
const SignatureHeader = "X-Gatepost-Signature"

// Webhook says who sends SMS for us.
type Webhook struct {
	URL         string
	HeaderName  string // one more header, such as Authorization; empty: none
	HeaderValue string
	Secret      string       // of the signature; empty: none
	Client      *http.Client // the egress client
	Now         func() time.Time
}

type webhook struct{ Webhook }

// NewWebhook returns a sender that posts each letter as JSON.
func NewWebhook(c Webhook) Sender {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &webhook{c}
}

// Send implements [Sender]. 2xx is sent; any 4xx but 408 and 429 is permanent.
// A letter may come twice: message_id, which is also the Idempotency-Key, is the
// same then.
func (w *webhook) Send(ctx context.Context, l Letter) (string, error) {
	body, err := json.Marshal(map[string]string{
		"to": l.To, "text": l.Text, "kind": string(l.Kind),
		"tenant_id": l.Tenant, "workspace_id": l.Workspace, "message_id": l.ID,
	})
	if err != nil {
		return "", fmt.Errorf("sms: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("sms: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", l.ID)
	if w.HeaderName != "" {
		r.Header.Set(w.HeaderName, w.HeaderValue)
	}
	if w.Secret != "" {
		r.Header.Set(SignatureHeader, sign(w.Secret, w.Now(), body))
	}
	resp, err := w.Client.Do(r)
	if err != nil {
		return "", fmt.Errorf("sms: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 2*maxAnswer)) // the status decides
	answer := strings.TrimSpace(resp.Status + " " + string(said))
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return answer, nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code < 400, code >= 500:
		return "", &Failure{Answer: answer}
	}
	return "", &Failure{Answer: answer, Permanent: true}
}

func sign(secret string, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
