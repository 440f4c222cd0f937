package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets
var assets embed.FS

// Pages renders pages and serves what they load. It is safe for concurrent use.
type Pages struct {
	views    map[string]*template.Template
	files    map[string]web.Asset // by path under web.AssetPrefix
	urls     map[string]string    // by file name
	tooLarge []byte
	csp      string
}

// New prepares all templates, so that a broken one is found at the start.
func New() (*Pages, error) {
	p := &Pages{views: map[string]*template.Template{}, files: map[string]web.Asset{}, urls: map[string]string{}}
	if err := p.loadAssets(); err != nil {
		return nil, err
	}
	layout, err := template.New("").Funcs(p.funcs()).ParseFS(templates, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("page layout: %w", err)
	}
	for _, page := range all() {
		file := page.spec().file
		view, err := layout.Clone()
		if err == nil {
			view, err = view.ParseFS(templates, "templates/"+file+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", file, err)
		}
		p.views[file] = view
	}
	return p, p.staticPage(layout)
}

// loadAssets gives every file an address with a hash of all files.
func (p *Pages) loadAssets() error {
	types := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	list, err := assets.ReadDir("assets")
	if err != nil {
		return fmt.Errorf("page assets: %w", err)
	}
	bodies, sum := map[string][]byte{}, sha256.New()
	for _, f := range list {
		body, err := assets.ReadFile("assets/" + f.Name())
		if err != nil {
			return fmt.Errorf("page assets: %w", err)
		}
		bodies[f.Name()] = body
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", f.Name(), len(body), body) // a hash never fails
	}
	version := hex.EncodeToString(sum.Sum(nil)[:8])
	for name, body := range bodies {
		_, kind, _ := strings.Cut(name, ".")
		p.files[version+"/"+name] = web.Asset{Type: types[kind], Body: body}
		p.urls[name] = web.AssetPrefix + version + "/" + name
	}
	return nil
}

// staticPage renders the page for too many cookies, which never changes.
func (p *Pages) staticPage(layout *template.Template) error {
	style, err := assets.ReadFile("assets/headers-too-large.css")
	if err != nil {
		return fmt.Errorf("page assets: %w", err)
	}
	style = bytes.TrimSpace(style)
	view, err := layout.Clone()
	if err == nil {
		view.Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(style) }}) // our own file
		view, err = view.ParseFS(templates, "templates/headers-too-large.html")
	}
	var b bytes.Buffer
	if err == nil {
		err = view.ExecuteTemplate(&b, "headers-too-large", nil)
	}
	if err != nil {
		return fmt.Errorf("page headers-too-large: %w", err)
	}
	sum := sha256.Sum256(style)
	p.tooLarge = b.Bytes()
	p.csp = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	return nil
}

// Asset returns the file at a path under web.AssetPrefix, the prefix included.
func (p *Pages) Asset(path string) (web.Asset, bool) {
	name, ok := strings.CutPrefix(path, web.AssetPrefix)
	if !ok {
		return web.Asset{}, false
	}
	if a, ok := p.files[name]; ok {
		return a, true
	}
	css, ok := themeSheet(name)
	return web.Asset{Type: "text/css; charset=utf-8", Body: []byte(css)}, ok
}

// AssetURL returns the address of an asset by its file name, such as
// "gatepost.css", or "".
func (p *Pages) AssetURL(name string) string { return p.urls[name] }

// HeadersTooLarge returns the page for status 431 and the policy it needs.
func (p *Pages) HeadersTooLarge() (body []byte, csp string) { return p.tooLarge, p.csp }

// frame is what the layout knows.
type frame struct {
	Page       Page
	Theme      Theme
	ThemeSheet string
	Wide       bool
	Module     string
	Passkey    bool
}

// Render writes a page. Nothing is written when it fails.
func (p *Pages) Render(w io.Writer, theme Theme, page Page) error {
	s := page.spec()
	f := frame{Page: page, Theme: theme.clean(), Wide: s.wide, Module: "page.js", Passkey: s.passkey}
	if s.post {
		f.Module = "form-post.js"
	}
	if c, ok := parseColor(theme.Accent); ok {
		f.ThemeSheet = web.AssetPrefix + sheetStart + c.String()[1:] + sheetEnd
	}
	var b bytes.Buffer
	if err := p.views[s.file].ExecuteTemplate(&b, "layout", f); err != nil {
		return fmt.Errorf("render %s: %w", s.file, err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write page %s: %w", s.file, err)
	}
	return nil
}

// Problem writes the page for an error: it is what web.Config.Page asks for.
func (p *Pages) Problem(w io.Writer, pr web.Problem) error {
	return p.Render(w, Theme{}, problemPage(pr))
}

func problemPage(pr web.Problem) Page {
	if u := pr.UnknownHost; u != nil {
		return UnknownHost{Host: u.Host, Scheme: u.Scheme, SchemeOnly: u.SchemeOnly, Forwarded: u.Forwarded, Peer: u.Peer, Configured: u.Configured, TraceID: pr.TraceID}
	}
	say := pr.Say
	if pr.Field != "" {
		say = pr.Field + ": " + say
	}
	switch pr.Status {
	case http.StatusForbidden:
		return Denied{Say: say, TraceID: pr.TraceID}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unavailable{Say: say, TraceID: pr.TraceID}
	}
	return Error{Title: titles()[pr.Status], Say: say, TraceID: pr.TraceID}
}

// funcs are what templates may call.
func (p *Pages) funcs() template.FuncMap {
	return template.FuncMap{
		"t": func(key string, args ...any) (string, error) {
			text, ok := texts[key]
			if !ok {
				return "", fmt.Errorf("there is no text %q", key)
			}
			if len(args) == 0 {
				return text, nil
			}
			return fmt.Sprintf(text, args...), nil
		},
		"asset":     func(name string) string { return p.urls[name] },
		"input":     newInput,
		"inputHint": newInputHint,
		"code":      newCode,
		"field":     newField,
		"userCode":  newUserCode,
		"describe":  input.describe,
		"optional":  input.optional,
		"hinted":    input.hinted,
		"initial":   initial,
		"when":      when,
		"span":      span,
		"style":     func() template.CSS { return "" }, // see staticPage
	}
}

// initial returns the first letter of a name.
func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	if r, size := utf8.DecodeRuneInString(name); size > 0 {
		return string(r)
	}
	return "?"
}

// when shows a time so that it means the same everywhere.
func when(t time.Time) template.HTML {
	u := t.UTC()
	return template.HTML(`<time datetime="` + u.Format(time.RFC3339) + `">` + u.Format("2 Jan 2006, 15:04") + ` UTC</time>`) // digits and letters only
}
