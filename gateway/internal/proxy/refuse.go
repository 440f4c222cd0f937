package proxy

import (
	"html/template"
	"io"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// refuse answers a request that does not reach the app, or whose app does not
// answer. Only somebody's browser loading a page is sent to the sign-in; what a
// script asks for gets a 401 that says where the sign-in is (RFC 9110, section
// 15.5.2), since it cannot follow.
func (p *Proxy) refuse(c *fiber.Ctx, x *exchange, err error) error {
	if !fault.Is(err, fault.Unauthenticated) || x.plan == nil || x.bearer {
		return p.cfg.Errors.Any(c, err)
	}
	switch {
	case !x.visit.Navigation || x.plan.route.API || !x.plan.route.Accepts(route.Session):
		return p.unauthorized(c, x)
	case x.late && x.visit.Method != fasthttp.MethodGet && x.visit.Method != fasthttp.MethodHead:
		return p.notice(c, x, lateNotice())
	case x.visit.Method != fasthttp.MethodGet && x.visit.Method != fasthttp.MethodHead:
		return p.notice(c, x, formNotice(x))
	}
	target := x.visit.Path
	if x.visit.RawQuery != "" {
		target += "?" + x.visit.RawQuery
	}
	safe, ok := web.SafePath(target)
	if !ok {
		safe = "/" // such as a path that begins with two slashes
	}
	ctx, cancel := web.Context(c, doorTime)
	defer cancel()
	if err := p.begin(ctx, c, x, safe); err != nil {
		return p.cfg.Errors.Any(c, err)
	}
	return nil
}

// unauthorized is the 401 for scripts.
func (p *Proxy) unauthorized(c *fiber.Ctx, x *exchange) error {
	say := "You are not signed in."
	if x.late {
		say = lateText
	}
	challenge := `Cookie realm="gatepost"`
	if x.plan.route.Accepts(route.Bearer) {
		challenge = `Bearer realm="gatepost"`
	}
	c.Set(fiber.HeaderWWWAuthenticate, challenge)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(fiber.StatusUnauthorized).JSON(unauthorized{
		ErrorBody: web.ErrorBody{
			Error: say, ErrorCode: "unauthenticated", StatusCode: fiber.StatusUnauthorized,
			Details: map[string]any{"trace_id": x.visit.TraceID},
		},
		LoginURL: x.loginURL(),
	})
}

type unauthorized struct {
	web.ErrorBody
	LoginURL string `json:"login_url"`
}

// loginURL starts a sign-in that comes back to the page that the script is on,
// as far as the browser says which. Only a path of this host counts.
func (x *exchange) loginURL() string {
	address := x.plan.route.Origin + SignInPath
	page, ok := strings.CutPrefix(string(x.ctx.Request.Header.Referer()), x.plan.route.Origin)
	if !ok || page == "" || page == "/" {
		return address
	}
	if page, ok = web.SafePath(page); !ok {
		return address
	}
	return address + "?to=" + url.QueryEscape(page)
}

// Notice is a page of the proxy that asks something or explains.
type Notice struct {
	Status   int
	Title    string
	Text     string
	Link     string // where to go on, with LinkText
	LinkText string
	NewTab   bool   // Link opens beside the page
	Form     string // address that a button posts to, with Button as its text
	Button   string
	TraceID  string
}

func signOutNotice(*exchange) Notice {
	return Notice{
		Status: fiber.StatusOK, Title: "Sign out", Text: "You will be signed out of this app and of all others that you reached through the same sign-in.",
		Form: SignOutPath, Button: "Sign out", Link: "/", LinkText: "Stay signed in",
	}
}

// formNotice answers a form that was sent after the session had ended. Its body
// is not kept: signing in beside it and sending it again loses nothing.
func formNotice(*exchange) Notice {
	return Notice{
		Status: fiber.StatusUnauthorized, Title: "Your session has ended",
		Text: "What you just sent has not been processed. Sign in again in a new tab, come back here, and reload this page to send it again.",
		Link: SignInPath, LinkText: "Sign in in a new tab", NewTab: true,
	}
}

// lateText says that a session ended behind a request. Whether the app did what
// was asked, nobody here knows.
const lateText = "Your session ended before the app had answered. What you sent may have been processed."

// lateNotice answers a form whose session ended after the app had begun to
// receive it.
func lateNotice() Notice {
	return Notice{
		Status: fiber.StatusUnauthorized, Title: "Your session has ended",
		Text: lateText + " Sign in again in a new tab and check before you send it again.",
		Link: SignInPath, LinkText: "Sign in in a new tab", NewTab: true,
	}
}

func loopNotice(e *LoopError, v *web.Visit) Notice {
	return Notice{
		Status: fiber.StatusBadRequest, Title: "The sign-in does not hold",
		Text: "You were signed in, but your browser does not send the cookie " + e.Cookie + " back to " + v.Origin() +
			". Allow cookies for this site and delete those that it already has. If this goes on, the operator should check that the base URL has the scheme that you use (" +
			v.Scheme + ") and that a proxy in front passes cookies on.",
		Link: "/", LinkText: "Try again",
	}
}

// notice answers with a page.
func (p *Proxy) notice(c *fiber.Ctx, x *exchange, n Notice) error {
	n.TraceID = x.visit.TraceID
	web.Security{FormAction: p.cfg.FormAction}.Apply(c)
	c.Status(n.Status).Type("html", "utf-8")
	return p.cfg.Page(c.Context().Response.BodyWriter(), n)
}

var bare = template.Must(template.New("notice").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title></head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{if .Form}}<form method="post" action="{{.Form}}"><button>{{.Button}}</button></form>{{end}}
{{if .Link}}<p><a href="{{.Link}}"{{if .NewTab}} target="_blank" rel="noopener"{{end}}>{{.LinkText}}</a></p>{{end}}
<p><small>{{.TraceID}}</small></p>
</main>
</body>
</html>
`))

// barePage writes a notice without a layout.
func barePage(w io.Writer, n Notice) error { return bare.Execute(w, n) }
