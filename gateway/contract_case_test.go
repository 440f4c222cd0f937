package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A file of cases is a story in a new tenant: blocks that are played in order.
//
//	families admin system         once for each; {{family}} is its name
//
//	### 201 what it shows         the status that is expected
//	POST /api/identity/{{tid}}/{{family}}/pools
//	If-Match: *
//
//	{"id":"people","name":"People"}
//
//	> tag = ETag                  a member of the answer, for {{tag}} further down; a
//	                              "passkey" is what a browser makes of the answer,
//	                              and {{tag_id}} the id of that
//
//	@scope openid ...             what the next person's token is for
//	@sign-in NAME PASSWORD        a person calls from here on; {{totp_SECRET}} is their
//	                              one-time password
//
// The token is the one that the operation's line asks for. "only admin" before
// the request keeps a block to one family; "quiet" says that users whom nobody is
// are answered like others, and "probe" tries a refusal like a success. A success is also tried without what it
// needs, before it is played: see probe.

// block is one request of a story.
type block struct {
	at           string // file and line
	status       int
	only         string
	quiet, probe bool
	method, path string
	header       []string
	body         string
	keep         [][2]string // name, member
	signIn       string      // instead of all that: name and password
	scope        string      // likewise: for those who sign in from here on
}

func families(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	names, ok := strings.CutPrefix(first, "families ")
	if !ok {
		return []string{"-"}
	}
	return strings.Fields(names)
}

// story reads the blocks of a file.
func story(t *testing.T, file string) []block {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	var b *block
	inBody := false
	n := 0
	for text := range strings.Lines(string(raw)) {
		n++
		text = strings.TrimRight(text, "\n")
		if rest, ok := strings.CutPrefix(text, "### "); ok {
			all = append(all, block{at: fmt.Sprintf("%s:%d", file, n)})
			b, inBody = &all[len(all)-1], false
			if _, err := fmt.Sscan(rest, &b.status); err != nil {
				t.Fatalf("%s: no status: %s", b.at, text)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(text, "@sign-in "); ok {
			all, b = append(all, block{signIn: rest}), nil
			continue
		}
		if rest, ok := strings.CutPrefix(text, "@scope "); ok {
			all, b = append(all, block{scope: rest}), nil
			continue
		}
		switch {
		case b == nil, strings.HasPrefix(text, "# "):
		case strings.HasPrefix(text, "> "):
			name, member, _ := strings.Cut(text[2:], " = ")
			b.keep = append(b.keep, [2]string{name, member})
		case b.method == "" && strings.HasPrefix(text, "only "):
			b.only = text[len("only "):]
		case b.method == "" && text == "quiet":
			b.quiet = true
		case b.method == "" && text == "probe":
			b.probe = true
		case b.method == "":
			b.method, b.path, _ = strings.Cut(text, " ")
		case inBody:
			b.body += text
		case text == "":
			inBody = true
		default:
			name, value, ok := strings.Cut(text, ": ")
			if !ok {
				t.Fatalf("%s: no header: %s", b.at, text)
			}
			b.header = append(b.header, name, value)
		}
	}
	return all
}

// scenario is a story that is being played.
type scenario struct {
	*world
	t      *testing.T
	family string
	values map[string]string // of {{name}}
	tokens map[string]string // by the kind of caller
	weak   map[string]string // of callers who may do nothing
	theirs map[string]string // of another tenant
	robot  string            // of an app's client, for nobody
}

func (w *world) newScenario(t *testing.T, family string) *scenario {
	t.Helper()
	id, admin, system := w.tenant(t)
	_, theirs, theirsSys := w.tenant(t)
	s := &scenario{
		world: w, t: t, family: family,
		values: map[string]string{"tid": id, "family": family, "base": w.Demo.BaseURL, "scope": "openid view_ss_profile manage_ss_profile"},
		tokens: map[string]string{"admin": admin, "system": system, "root-admin": w.root, "root-system": w.rootSystem},
		theirs: map[string]string{"admin": theirs, "system": theirsSys, "root-admin": theirs, "root-system": theirsSys, "user": theirs, "token": theirs},
	}
	s.weak = map[string]string{
		"admin": w.caller(t, id, admin, "admin"), "system": w.caller(t, id, admin, "system"),
		"root-admin": w.caller(t, "system", w.root, "admin"), "root-system": w.caller(t, "system", w.root, "system"),
	}
	return s
}

var slot = regexp.MustCompile(`\{\{(\w+)\}\}`)

func (s *scenario) fill(text string) string {
	return slot.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-2]
		if secret, ok := strings.CutPrefix(name, "totp_"); ok {
			return totp(s.t, secret)
		}
		v, ok := s.values[name]
		if !ok {
			s.t.Fatalf("nothing is known as %s", m)
		}
		return v
	})
}

// kind is who calls a line: its key in the maps of tokens.
func (l *line) kind() string {
	kind, _, _ := strings.Cut(l.caller, ":")
	return kind
}

func (s *scenario) play(file string) {
	s.t.Helper()
	for _, b := range story(s.t, file) {
		if b.only != "" && b.only != s.family {
			continue
		}
		if b.scope != "" {
			s.values["scope"] = b.scope
			continue
		}
		if name, password, ok := strings.Cut(b.signIn, " "); ok {
			s.signIn(name, password)
			continue
		}
		b.path, b.body = s.fill(b.path), s.fill(b.body)
		for i := range b.header {
			b.header[i] = s.fill(b.header[i])
		}
		bare, _, _ := strings.Cut(b.path, "?")
		l := s.table.find(b.method, bare)
		if l == nil {
			s.t.Errorf("%s: %s %s is not in operations.tsv", b.at, b.method, b.path)
			continue
		}
		if b.status < 400 || b.probe {
			s.probe(l, &b)
		}
		a := s.ask(l, &b, s.tokens[l.kind()], b.path, b.body, b.header...)
		if a.status != b.status {
			s.t.Errorf("%s: %s: %d, want %d: %s", b.at, a.what, a.status, b.status, a.body)
			continue
		}
		if b.status < 400 {
			s.success(l, &b, a)
		}
		for _, k := range b.keep {
			if k[1] == "passkey" {
				s.values[k[0]], s.values[k[0]+"_id"] = s.passkey(a.body)
				continue
			}
			s.values[k[0]] = a.at(s.t, k[1])
		}
	}
}

// ask sends a request and notes its status, which must be one that the line
// declares.
func (s *scenario) ask(l *line, b *block, token, path, body string, header ...string) *answer {
	s.t.Helper()
	a := s.send(s.t, b.method, path, token, body, header...)
	if l.saw(a.status); !l.may(a.status) {
		s.t.Errorf("%s: %s %s: %d is not in its line: %s", b.at, l.id, a.what, a.status, a.body)
	}
	return a
}

// success holds an answer against its line.
func (s *scenario) success(l *line, b *block, a *answer) {
	s.t.Helper()
	if fmt.Sprint(a.status) != l.statuses[0] {
		s.t.Errorf("%s: %s: %d, its line has %s", b.at, l.id, a.status, l.statuses[0])
	}
	if has := a.header.Get("ETag") != ""; has != l.tag {
		s.t.Errorf("%s: %s: an ETag is there: %v", b.at, l.id, has)
	}
	if a.status == http.StatusNoContent && len(a.body) > 0 {
		s.t.Errorf("%s: %s: 204 with a body: %s", b.at, l.id, a.body)
	}
}

// probe sends what will succeed in every way in which it must not.
func (s *scenario) probe(l *line, b *block) {
	s.t.Helper()
	right := s.tokens[l.kind()]
	refused := func(what, token, path, body string, want []int, header ...string) {
		s.t.Helper()
		a := s.ask(l, b, token, path, body, header...)
		if !slices.Contains(want, a.status) {
			s.t.Errorf("%s: %s with %s: %d, want %v: %s", b.at, a.what, what, a.status, want, a.body)
		}
	}
	if right == "" && l.kind() != "none" && l.kind() != "public" {
		s.t.Fatalf("%s: nobody has signed in", b.at)
	}
	if right != "" {
		refused("no token", "", b.path, b.body, []int{401}, b.header...)
		refused("a token that is none", "x.y.z", b.path, b.body, []int{401}, b.header...)
		for kind, token := range s.tokens {
			if kind != l.kind() && token != right {
				refused("the token of "+kind, token, b.path, b.body, []int{401, 403}, b.header...)
			}
		}
		refused("another tenant's token", s.theirs[l.kind()], b.path, b.body, []int{401, 403}, b.header...)
		if weak := s.weak[l.kind()]; weak != "" && l.caller != "user" && l.kind() != "token" {
			refused("a token that may do nothing", weak, b.path, b.body, []int{403}, b.header...)
		}
	}
	if l.kind() == "user" {
		refused("a client's token", s.robot, b.path, b.body, []int{403}, b.header...)
	}
	if l.carries == "body" {
		refused("a broken body", right, b.path, `{"name":`, []int{400}, b.header...)
	}
	if l.may(http.StatusPreconditionFailed) && len(b.header) == 0 {
		refused("a tag from the future", right, b.path, b.body, []int{412}, "If-Match", `"99999999999-0"`)
	}
	for _, other := range strangers(l, b.path) {
		want := []int{404}
		if b.quiet && (other.name == "{userID}" || other.name == "{cid}") {
			want = []int{b.status, 401}
		}
		refused("an id that nobody has", right, other.path, b.body, want, b.header...)
	}
}

// stranger is a path with one parameter that names nothing.
type stranger struct{ name, path string }

func strangers(l *line, path string) []stranger {
	bare, query, _ := strings.Cut(path, "?")
	parts := strings.Split(bare, "/")
	var out []stranger
	for i, name := range strings.Split(l.path, "/") {
		if !hole.MatchString(name) || name == "{tid}" && !strings.HasPrefix(l.kind(), "root") && l.kind() != "public" || !l.may(http.StatusNotFound) {
			continue
		}
		other := slices.Clone(parts)
		other[i] = "nobody-has-this"
		out = append(out, stranger{name, strings.TrimSuffix(strings.Join(other, "/")+"?"+query, "?")})
	}
	return out
}
