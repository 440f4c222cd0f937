package notify

import (
	"context"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// TryMail sends a message that says that it is a test straight to an address,
// without the outbox and its budgets, and returns what the server answered.
func TryMail(ctx context.Context, s Sender, to string, now time.Time) (string, error) {
	to, err := address(Email, to)
	if err != nil {
		return "", err
	}
	const say = "This is a test of the mail settings of Gatepost. It arrived, so they work."
	return s.Send(ctx, Letter{
		ID: vault.NewID(), Kind: "test", To: to, Date: now,
		Subject: "Gatepost test message",
		Text:    say + "\n",
		HTML:    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"></head><body><p>" + say + "</p></body></html>\n",
	})
}
