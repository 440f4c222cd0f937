package notifytest

import (
	"net/http"
	"strings"
	"time"
)

// Address is a mailbox.
type Address struct {
	Name    string
	Address string
}

// Message is a mail that the server accepted.
type Message struct {
	ID        string // the server's own
	MessageID string // of the header, without < and >
	From      Address
	To        []Address
	Subject   string
	Date      time.Time
	Text      string
	HTML      string

	Raw string // the whole mail as it came
}

// Header returns the first value of a header of the raw mail, unfolded, or "".
func (m Message) Header(name string) string {
	head, _, _ := strings.Cut(strings.ReplaceAll(m.Raw, "\r\n", "\n"), "\n\n")
	head = strings.NewReplacer("\n ", " ", "\n\t", " ").Replace(head)
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Messages returns all mails, the oldest first.
func (m *Mailpit) Messages() []Message {
	m.t.Helper()
	var list struct {
		Messages []struct{ ID string }
	}
	m.must(http.MethodGet, "messages?limit=1000", nil, &list)
	out := make([]Message, len(list.Messages))
	for i, listed := range list.Messages {
		mail := &out[len(out)-1-i]
		m.must(http.MethodGet, "message/"+listed.ID, nil, mail)
		raw, err := m.ask(http.MethodGet, "message/"+listed.ID+"/raw", nil)
		if err != nil {
			m.t.Fatalf("Mailpit: %v", err)
		}
		mail.Raw = string(raw)
	}
	return out
}

// Wait returns the newest mail to an address as soon as there are n of them.
func (m *Mailpit) Wait(to string, n int) Message {
	m.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var found []Message
		for _, mail := range m.Messages() {
			if len(mail.To) > 0 && strings.EqualFold(mail.To[0].Address, to) {
				found = append(found, mail)
			}
		}
		if len(found) >= n {
			return found[len(found)-1]
		}
		select {
		case <-deadline:
			m.t.Fatalf("Mailpit: %d mails to %s after 30 s, want %d", len(found), to, n)
		case <-m.t.Context().Done():
			m.t.Fatalf("Mailpit: the test ended while it waited for %d mails to %s", n, to)
		case <-tick.C:
		}
	}
}

// Clear forgets all mails.
func (m *Mailpit) Clear() {
	m.t.Helper()
	if _, err := m.ask(http.MethodDelete, "messages", map[string]any{}); err != nil {
		m.t.Fatalf("Mailpit: %v", err)
	}
}

type trigger struct{ ErrorCode, Probability int }

// Refuse makes the server answer every recipient with an SMTP code such as 451.
func (m *Mailpit) Refuse(code int) {
	m.t.Helper()
	m.must(http.MethodPut, "chaos", map[string]trigger{"Recipient": {code, 100}}, nil)
}

// Accept ends Refuse.
func (m *Mailpit) Accept() {
	m.t.Helper()
	m.must(http.MethodPut, "chaos", map[string]trigger{}, nil)
}
