package proxy_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(g *gate){
		"signed out": func(g *gate) { g.door.end(aliceValue) },
		"shut down":  func(g *gate) { g.proxy.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "one")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				close(gone)
			})))
			res := g.call(g.request("GET", "http://app.test/", nil, signedIn()...))
			read(t, res.Body, 3)
			wait(t, "watch", g.door.watched)
			end(g)
			wait(t, "the app to be told", gone)
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("the client took the stream for complete")
			}
			eventually(t, "the watch to be given up", func() bool { return g.door.watching() == 0 })
		})
	}
}

func TestStreamEndsWhenItsSessionExpires(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})))
	g.door.sessions["short"] = &proxy.Identity{Session: "s", Subject: "x", Expires: time.Now().Add(100 * time.Millisecond)}
	res := g.call(g.request("GET", "http://app.test/", nil, "Cookie", cookieName+"=short"))
	done := make(chan error, 1)
	go func() { _, err := io.ReadAll(res.Body); done <- err }()
	if err := wait(t, "end of the stream", done); err == nil {
		t.Error("the client took the stream for complete")
	}
}

func TestWaitingEndsWithTheSession(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	g := open(t, to(app(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })))
	done := make(chan int, 1)
	go func() {
		res, err := g.client().Do(g.request("GET", "http://app.test/", nil, signedIn()...))
		if err != nil {
			done <- 0
			return
		}
		res.Body.Close()
		done <- res.StatusCode
	}()
	wait(t, "watch", g.door.watched) // after the first tick
	g.door.end(aliceValue)
	if status := wait(t, "answer", done); status != 401 {
		t.Errorf("status %d", status)
	}
	wait(t, "the app to be told", gone)
}

func TestSilentStreamEnds(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), func(r *route.Route) { r.Timeouts.Idle = store.Duration(100 * time.Millisecond) }))
	res := g.call(g.request("GET", "http://app.test/", nil, signedIn()...))
	if b, err := io.ReadAll(res.Body); err == nil || string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestStuckStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	g := open(t, to(app(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		for {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 100_000)); err != nil {
				return
			}
		}
	})))
	g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n") // and never reads
	wait(t, "watch", g.door.watched)
	g.door.end(aliceValue)
	wait(t, "the app to be told", gone)
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("traffic", func(t *testing.T) {
		g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/early" {
				w.WriteHeader(413)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices a client that left only after it
			switch r.URL.Path {
			case "/stream":
				_, _ = io.WriteString(w, "one")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			case "/wait":
				<-r.Context().Done()
			}
		})))
		for range 20 {
			for _, path := range []string{"/stream", "/wait", "/early", "/echo"} {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				req := g.request("POST", "http://app.test"+path, io.MultiReader(strings.NewReader(strings.Repeat("x", 50_000))), signedIn()...).WithContext(ctx)
				if res, err := g.client().Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				cancel()
			}
		}
	})
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+2 })
}
