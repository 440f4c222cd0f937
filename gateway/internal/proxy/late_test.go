package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// What the app has received may have been processed, whatever happens to the
// session afterwards: nobody is told otherwise.
func TestSessionEndsBehindARequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, accept string
		status               int
		says                 string
	}{
		{"form", "POST", "text/html", 401, "may have been processed"},
		{"script", "POST", "application/json", 401, "may have been processed"},
		{"page", "GET", "text/html", 302, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := open(t, to(app(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})))
			go func() {
				<-g.door.watched // the first look around
				g.door.end(aliceValue)
			}()
			res, text := g.do(g.request(c.method, "http://app.test/", strings.NewReader("a=b"), append(signedIn(), "Accept", c.accept)...))
			if res.StatusCode != c.status || !strings.Contains(text, c.says) || strings.Contains(text, "not been processed") || strings.Contains(text, "not signed in") {
				t.Errorf("%s %s", res.Status, text)
			}
		})
	}
}

// A session that ends during an upload is no fault of the client's connection.
func TestSessionEndsDuringAnUpload(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})))
	_, r := g.raw("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n" + strings.Repeat("x", 50_000))
	wait(t, "the first look around", g.door.watched)
	g.door.end(aliceValue)
	if res, text := answer(t, r); res.StatusCode != 401 || !strings.Contains(text, "may have been processed") || !res.Close {
		t.Errorf("%s %s", res.Status, text)
	}
}
