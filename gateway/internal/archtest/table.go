package archtest

// A row is one line of the picture: its packages import only from lower rows.
type row struct {
	level    int
	packages []string // directories directly under gateway/internal
}

// rows is the picture of gateway/internal, highest first.
func rows() []row {
	return []row{
		{9, []string{"config"}},
		{8, []string{"portal", "console", "openid", "api", "proxy", "ops"}},
		{7, []string{"signin", "promote", "setup"}},
		{6, []string{"live", "login", "postauth"}},
		{5, []string{"idp", "customapp", "token", "selfservice"}},
		{4, []string{"client", "script", "pool"}},
		{3, []string{"tenant", "role", "session", "grant", "route", "notify", "pluginhost"}},
		{2, []string{"changes", "flag", "limit", "audit", "job", "page"}},
		{1, []string{"store", "vault", "egress", "web"}},
		{0, []string{"fault"}},
	}
}

// The parts of the tree outside gateway/internal.
const (
	internal    = "gateway/internal"
	composition = "gateway" // puts everything together, and may import everything
	command     = "gateway/cmd/gatepost"
	endToEnd    = "gateway/e2e"
	self        = "gateway/internal/archtest"
)

// roots lists what each top-level directory may import of the project itself,
// in code and in tests.
func roots() map[string][]string {
	return map[string][]string{
		"authctx":  {"authctx"},
		"plugins":  {"plugins", "authctx"},
		"scripts":  {"scripts", "authctx"},
		"examples": {"examples", "authctx", "plugins", "scripts", "gateway"},
		"gateway":  {"gateway", "authctx", "plugins", "scripts"},
	}
}

// A library is a third party and the only directories, with all below them,
// whose code may import it. Tests may use every listed library.
type library struct {
	path string
	in   []string
}

const testsOnly = "(tests)" // no code at all, apart from packages named *test

// libraries is the whole list of third parties. One that is not here may not be
// used: is it kept up, is it for this job, what does it drag in?
func libraries() []library {
	edge := append(level(8), internal+"/web", composition)
	return []library{
		{"github.com/gofiber/fiber/v2", edge},
		{"github.com/valyala/fasthttp", edge},
		{"github.com/dop251/goja", []string{"scripts/engine"}},
		{"github.com/evanw/esbuild", []string{"scripts/worker"}},
		{"github.com/hashicorp/go-plugin", []string{"plugins"}},
		{"github.com/hashicorp/go-hclog", []string{"plugins"}},
		{"google.golang.org/grpc", []string{"plugins"}},
		{"google.golang.org/protobuf", []string{"plugins"}},
		{"go.mongodb.org/mongo-driver/v2", []string{internal + "/store/mongo"}},
		{"go.etcd.io/bbolt", []string{internal + "/store/embedded"}},
		{"github.com/go-webauthn/webauthn", []string{internal + "/pool/credential"}},
		{"github.com/pquerna/otp", []string{internal + "/pool/credential"}},
		{"github.com/descope/virtualwebauthn", []string{testsOnly}},
		{"github.com/nyaruka/phonenumbers", []string{internal + "/pool", internal + "/notify"}},
		{"github.com/santhosh-tekuri/jsonschema/v6", []string{internal + "/pool"}},
		{"github.com/coreos/go-oidc/v3", []string{internal + "/idp"}},
		{"github.com/zitadel/oidc/v3", []string{testsOnly}}, // its client, against our provider
		{"github.com/go-jose/go-jose/v4", []string{internal + "/token", internal + "/idp", internal + "/client", internal + "/openid"}},
		{"github.com/wneessen/go-mail", []string{internal + "/notify"}},
		{"github.com/adhocore/gronx", []string{internal + "/token"}}, // cron expressions; no dependencies of its own
		{"github.com/maypok86/otter/v2", []string{internal}},
		{"github.com/goccy/go-yaml", []string{internal + "/config", internal + "/promote"}},
		{"github.com/evanphx/json-patch/v5", []string{internal + "/promote"}},
		{"cel.dev/cel-go", []string{internal + "/route"}},
		{"github.com/google/cel-go", []string{internal + "/route"}},
		{"github.com/open-feature/go-sdk", []string{internal + "/flag", composition}},
		{"github.com/prometheus/client_golang", []string{internal + "/ops", composition}},
		{"go.opentelemetry.io/otel", []string{internal, composition}},
		{"github.com/spf13/cobra", []string{command}},
		{"github.com/spf13/pflag", []string{command}},
		{"golang.org/x", []string{composition, internal, "plugins", "scripts", "examples"}},
		{"github.com/coder/websocket", []string{"examples"}},
		{"github.com/google/go-cmp", []string{testsOnly}},
		{"github.com/chromedp/chromedp", []string{testsOnly}},
		{"github.com/chromedp/cdproto", []string{testsOnly}},
	}
}

// forbidden are libraries that the module graph may not hold at all, with the
// reason.
func forbidden() map[string]string {
	return map[string]string{
		"go.mongodb.org/mongo-driver":   "version 1 is deprecated by its makers: use go.mongodb.org/mongo-driver/v2",
		"github.com/gofiber/adaptor/v2": "it buffers responses and loses values: see the web package",
	}
}

// level returns the directories of one row.
func level(n int) []string {
	var dirs []string
	for _, r := range rows() {
		if r.level == n {
			for _, p := range r.packages {
				dirs = append(dirs, internal+"/"+p)
			}
		}
	}
	return dirs
}
