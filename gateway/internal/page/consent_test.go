package page_test

import (
	"time"

	"github.com/gatepost/gatepost/gateway/internal/page"
)

// clients adds the pages on which people answer clients.
func clients(out map[string]page.Page) {
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	asks := []page.Ask{
		{Name: "Know who you are", Detail: "Sign-in", Before: true},
		{Name: "See your e-mail address", Detail: "E-mail"},
		{Name: "reports"},
	}
	known := account()
	known.Apps = page.AppSection{WithdrawAction: "/apps/withdraw", List: []page.ConnectedApp{
		{ID: "c1", Name: "Photo prints", Has: []string{"Sign in", "Email"}, Since: at}, {ID: "c2", Name: "Television", Since: at},
	}}
	for name, p := range map[string]page.Page{
		"consent": page.Consent{
			CSRF: "token", Action: "/consent?login_id=1", App: "Photo prints", AppURL: "https://photos.example", PolicyURL: "https://photos.example/privacy", TermsURL: "https://photos.example/terms",
			Name: "Alice Example", Identifier: "alice@example.com", Asks: asks, Host: "photos.example",
		},
		"consent-again":  page.Consent{CSRF: "token", Action: "/consent", App: "Photo prints", PolicyURL: "javascript:alert(1)", Identifier: "alice", Asks: asks[:1]},
		"consent-who":    page.Consent{CSRF: "token", Action: "/consent", App: "Photo prints"},
		"device-code":    page.DeviceCode{CSRF: "token", Action: "/device", Code: "WDJB-MJHT"},
		"device-wrong":   page.DeviceCode{CSRF: "token", Action: "/device", Code: "WDJA", Errors: []page.FieldError{{Field: "user_code", Say: "This is not a code of a device."}}},
		"device-confirm": page.DeviceConfirm{CSRF: "token", Action: "/device", Code: "WDJB-MJHT", App: "Television", Name: "Alice Example", Identifier: "alice@example.com", Asks: asks, From: "203.0.113.7", At: at},
		"device-allowed": page.DeviceDone{App: "Television", Allowed: true},
		"device-refused": page.DeviceDone{App: "Television"},
		"account-apps":   known,
	} {
		out[name] = p
	}
}
