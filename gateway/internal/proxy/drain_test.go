package proxy_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// reply is how a request ended.
type reply struct {
	res  *http.Response
	text string
	err  error
}

// ask sends a request beside the test and returns where its end will be.
func (g *gate) ask(req *http.Request) <-chan reply {
	done, client := make(chan reply, 1), g.client()
	go func() {
		res, err := client.Do(req)
		if err != nil {
			done <- reply{err: err}
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		done <- reply{res, string(b), err}
	}()
	return done
}

// slow is an app whose answers wait, some behind their first bytes.
func slow(t *testing.T) (url string, arrived chan string, release chan struct{}) {
	t.Helper()
	arrived, release = make(chan string, 10), make(chan struct{})
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
			fallthrough
		case "/download":
			_, _ = io.WriteString(w, "one")
			w.(http.Flusher).Flush()
		}
		arrived <- r.URL.Path
		select {
		case <-release:
			_, _ = io.WriteString(w, "two")
		case <-r.Context().Done():
			arrived <- "gone"
		}
	}), arrived, release
}

// A stop of the gateway ends what would go on for ever, and nothing else.
func TestDrainLetsOrdinaryExchangesGoOn(t *testing.T) {
	t.Parallel()
	url, arrived, release := slow(t)
	g := open(t, to(url))
	post := g.ask(g.request("POST", "http://app.test/form", strings.NewReader("a=b"), append(signedIn(), "Accept", "text/html")...))
	download := g.ask(g.request("GET", "http://app.test/download", nil, signedIn()...))
	for range 2 {
		wait(t, "requests at the app", arrived)
	}
	for range 2 {
		wait(t, "the proxy to look around", g.door.watched)
	}
	events := g.ask(g.request("GET", "http://app.test/events", nil, signedIn()...))
	wait(t, "the stream at the app", arrived)
	wait(t, "the proxy to pass the stream on", g.door.watched)
	g.proxy.Drain(context.Background())
	if got := wait(t, "end of the events", events); got.err == nil {
		t.Errorf("the stream went on: %q", got.text)
	}
	if got := wait(t, "the app to be told", arrived); got != "gone" {
		t.Error(got)
	}
	late := g.ask(g.request("GET", "http://app.test/events", nil, signedIn()...))
	if got := wait(t, "end of events that came late", late); got.err == nil {
		t.Errorf("the late stream went on: %q", got.text)
	}
	close(release)
	for name, done := range map[string]<-chan reply{"two": post, "onetwo": download} {
		if got := wait(t, name, done); got.err != nil || got.res.StatusCode != 200 || got.text != name {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What the stop cuts in the end is not called a sign-out.
func TestCloseIsNoSignOut(t *testing.T) {
	t.Parallel()
	url, arrived, _ := slow(t)
	g := open(t, to(url))
	var waiting []<-chan reply
	for _, accept := range []string{"text/html", "application/json"} {
		for _, method := range []string{"GET", "POST"} {
			waiting = append(waiting, g.ask(g.request(method, "http://app.test/", nil, append(signedIn(), "Accept", accept)...)))
			wait(t, "request at the app", arrived)
		}
	}
	download := g.ask(g.request("GET", "http://app.test/download", nil, signedIn()...))
	wait(t, "download at the app", arrived)
	g.proxy.Drain(context.Background())
	g.proxy.Close()
	for _, done := range waiting {
		got := wait(t, "answer", done)
		if got.err != nil || got.res.StatusCode != 503 || !got.res.Close || !strings.Contains(got.text, "may have been processed") ||
			!strings.Contains(got.text, got.res.Header.Get("X-Trace-Id")) || len(got.res.Cookies()) > 0 {
			t.Errorf("%+v", got)
		}
	}
	if got := wait(t, "end of the download", download); got.err == nil {
		t.Errorf("the client took it for complete: %q", got.text)
	}
	g.proxy.Close()
}

// A WebSocket that opens while the gateway stops is told so.
func TestWebSocketDuringDrain(t *testing.T) {
	t.Parallel()
	url, _ := echoSocket(t)
	g := open(t, to(url))
	g.proxy.Drain(context.Background())
	ws, _, err := g.socket(signedIn()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the client saw %v", err)
	}
}
