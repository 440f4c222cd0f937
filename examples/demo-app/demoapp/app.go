package demoapp

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

//go:embed page
var files embed.FS

// SignOut is the path, on the app's own host, where the gateway ends the
// session.
const SignOut = "/.gatepost/sign-out"

type app struct {
	page *template.Template
}

// New returns the app. It keeps no state and is safe for concurrent use.
func New() (http.Handler, error) {
	page, err := template.ParseFS(files, "page/index.html")
	if err != nil {
		return nil, fmt.Errorf("demo app: %w", err)
	}
	assets, err := fs.Sub(files, "page")
	if err != nil {
		return nil, fmt.Errorf("demo app: %w", err)
	}
	a := app{page: page}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.Handle("GET /style.css", http.FileServerFS(assets))
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("GET /echo", echo)
	return mux, nil
}

// person is what the gateway says about who is signed in.
type person struct {
	Name      string // what to call them; empty: nobody is signed in
	Initial   string
	Facts     []fact
	Assertion bool // the gateway also sent a signed proof
	SignOut   string
}

type fact struct{ Name, Header, Value string }

// identify reads the identity headers. The gateway removes every spelling of
// them that a client sends, so what is here is the gateway's own word.
func identify(h http.Header) person {
	p := person{SignOut: SignOut, Assertion: h.Get("X-Gatepost-Assertion") != ""}
	for _, f := range []fact{
		{Name: "Name", Header: "X-Auth-Request-Name"},
		{Name: "Signs in as", Header: "X-Auth-Request-Preferred-Username"},
		{Name: "E-mail", Header: "X-Auth-Request-Email"},
		{Name: "Groups", Header: "X-Auth-Request-Groups"},
		{Name: "Subject", Header: "X-Auth-Request-User"},
	} {
		f.Value = h.Get(f.Header)
		if f.Value == "" {
			continue
		}
		if p.Name == "" && f.Name != "Groups" {
			p.Name = f.Value
		}
		p.Facts = append(p.Facts, f)
	}
	for _, r := range p.Name {
		p.Initial = strings.ToUpper(string(r))
		break
	}
	return p
}

func (a app) home(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // the page is about one person
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = a.page.Execute(w, identify(r.Header)) // fails only when the browser has left
}

// received returns the headers as they came, with the Host that net/http keeps
// apart.
func received(r *http.Request) http.Header {
	all := r.Header.Clone()
	all.Set("Host", r.Host)
	return all
}

func headers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(received(r)) // fails only when the client has left
}

// events sends one event at once and then one every second until the client
// leaves. The query changes that: n is how many, every the time between them.
func events(w http.ResponseWriter, r *http.Request) {
	last, err := strconv.Atoi(r.FormValue("n"))
	if err != nil {
		last = -1
	}
	every, err := time.ParseDuration(r.FormValue("every"))
	if err != nil || every <= 0 {
		every = time.Second
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "id: %d\ndata: event %d for %q\n\n", n, n, identify(r.Header).Name); err != nil {
			return
		}
		if out.Flush() != nil || n == last {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// echo answers every message with itself. With ?headers the first message, sent
// at once, is what /headers would show for the upgrade request.
func echo(w http.ResponseWriter, r *http.Request) {
	var allowed []string // besides the page's own host: the one the browser sees
	if host := r.Header.Get("X-Forwarded-Host"); host != "" {
		allowed = append(allowed, host)
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: allowed})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = c.CloseNow() }()
	if r.URL.Query().Has("headers") {
		text, err := json.Marshal(received(r))
		if err != nil || c.Write(r.Context(), websocket.MessageText, text) != nil {
			return
		}
	}
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}
