package notify

import (
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail"
)

// compose makes the e-mail of a letter (RFC 5322): text and HTML side by side.
// Automatic answers to it are unwanted (RFC 3834, 5; the second header is what
// Exchange knows).
func compose(from string, l Letter) (*mail.Msg, error) {
	sender, err := netmail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("compose: from: %w", err)
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(sender)
	if err := m.To(l.To); err != nil {
		return nil, fmt.Errorf("compose: to: %w", err)
	}
	m.Subject(l.Subject)
	m.SetDateWithValue(l.Date)
	m.SetMessageIDWithValue(l.ID + "@" + domain(sender.Address))
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	m.SetBodyString(mail.TypeTextPlain, l.Text)
	m.AddAlternativeString(mail.TypeTextHTML, l.HTML)
	return m, nil
}

func domain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
