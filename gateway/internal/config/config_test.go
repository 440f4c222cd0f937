package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "rewrite the expected reports")

const example = "../../../examples/gatepost.yaml"

// TestReports loads the broken configurations of testdata/broken: a file, after
// a ruler the environment, after another ruler what is reported.
func TestReports(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/broken/*.case")
	if err != nil || len(cases) < 15 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".case"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			const envRuler, reportRuler = "---------- environment\n", "---------- report\n"
			before, want, ok := strings.Cut(string(text), reportRuler)
			file, environment, okEnv := strings.Cut(before, envRuler)
			if !ok || !okEnv {
				t.Fatalf("%s lacks a ruler", name)
			}
			path := write(t, "gatepost.yaml", file)
			_, err = config.Load(path, strings.Split(strings.TrimSpace(environment), "\n"))
			got := strings.ReplaceAll(fmt.Sprint(err), filepath.Dir(path)+"/", "") + "\n"
			if *update {
				if err := os.WriteFile(name, []byte(before+reportRuler+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	path := write(t, "gatepost.yaml", "# nothing but a comment\nstore:\nroutes:\n")
	got, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(filepath.Dir(path), "gatepost-data")
	want := config.Default()
	want.DataDir = config.Path(data)
	want.Store.Path = config.Path(data + "/gatepost.db")
	want.Keys.File = config.Path(data + "/keys")
	if diff := cmp.Diff(want, got, ranges()); diff != "" {
		t.Errorf("an empty file (-want +got):\n%s", diff)
	}

	want, err = config.Finish(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	got, err = config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ranges()); diff != "" {
		t.Errorf("no file (-want +got):\n%s", diff)
	}
}

// TestExample keeps the commented example true: what it sets are the defaults,
// and with its examples taken over it sets everything there is.
func TestExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := config.Load(write(t, "gatepost.yaml", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "gatepost.yaml", string(text))
	got, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(relative(empty), relative(got), ranges()); diff != "" {
		t.Errorf("the example's values are not the defaults (-default +example):\n%s", diff)
	}

	whole := regexp.MustCompile(`(?m)^#( {2,}\S|[^ #\n])`).ReplaceAllString(string(text), "$1")
	path = write(t, "gatepost.yaml", whole)
	got, err = config.Load(path, []string{"GATEPOST_STORE__URI=", "GATEPOST_MAIL__SMTP__HOST=", "GATEPOST_SMS__URL=", "GATEPOST_BASE_URL=https://id.example.com"}) // not all of it goes together
	if err != nil {
		t.Fatalf("with its examples taken over:\n%v", err)
	}
	var file map[string]any
	if err := yaml.Unmarshal([]byte(whole), &file); err != nil {
		t.Fatal(err)
	}
	for _, key := range unset(reflect.TypeFor[config.Config](), "", file) {
		t.Errorf("%s does not show %s", example, key)
	}
	if want := []string{"wiki.example.com", "/"}; got.Routes[0].Host != want[0] || got.Routes[0].PathPrefix != want[1] {
		t.Errorf("the example's route is %+v", got.Routes[0])
	}
}

// unset returns the settings of a type that a decoded file lacks.
func unset(t reflect.Type, path string, file any) []string {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
		if list, ok := file.([]any); ok && len(list) > 0 {
			t, path, file = t.Elem(), path+"[0]", list[0]
		}
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[config.Network]() {
		return nil
	}
	members, _ := file.(map[string]any)
	var missing []string
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		value, ok := members[key]
		if !ok {
			missing = append(missing, path+"."+key)
			continue
		}
		missing = append(missing, unset(f.Type, path+"."+key, value)...)
	}
	return missing
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "uri")
	if err := os.WriteFile(secret, []byte("mongodb://u:p@db/?w=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := write(t, "gatepost.yaml", "listen:\n  public:\n    address: 127.0.0.1:1\nflags: {plugins: true}\nsession: {idle: 1h}\n")
	got, err := config.Load(path, []string{
		"HOME=/root", "GATEPOST_TEST_MONGO_URI=x", "GATEPOST_FAULT_ROUNDS=20",
		"GATEPOST_LISTEN__PUBLIC__ADDRESS=127.0.0.1:2", "GATEPOST_LISTEN__PUBLIC__ADDRESS=127.0.0.1:3",
		"GATEPOST_LISTEN__OPS__ADDRESS=off",
		"GATEPOST_TRUSTED_PROXIES=10.0.0.0/8, ::1",
		"GATEPOST_FLAGS__CUSTOM_APPS=true",
		"GATEPOST_STORE__DRIVER=mongo", "GATEPOST_STORE__URI=file:" + secret,
		"GATEPOST_LIMITS__BODY=2MiB", "GATEPOST_LIMITS__CONNECTIONS=77",
		"GATEPOST_DATA_DIR=here", "GATEPOST_KEYS__FILE=/etc/keys",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen.Public.Address = "127.0.0.1:3"
	want.Listen.Ops.Address = config.Off
	want.TrustedProxies = got.TrustedProxies
	want.Flags = map[string]bool{"plugins": true, "custom_apps": true}
	want.Store = config.Store{Driver: config.Mongo, URI: "mongodb://u:p@db/?w=1", Database: "gatepost"}
	want.Limits.Body, want.Limits.Connections = 2<<20, 77
	want.Session.Idle = store.Duration(time.Hour)
	want.DataDir, want.Keys.File = "here", "/etc/keys"
	if diff := cmp.Diff(want, got, ranges()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(config.Prefixes(got.TrustedProxies)); got != "[10.0.0.0/8 ::1/128]" {
		t.Errorf("trusted proxies are %s", got)
	}
}

// TestPaths: relative paths count from the file's directory, secrets too.
func TestPaths(t *testing.T) {
	t.Parallel()
	path := write(t, "gatepost.yaml", "data_dir: data\nmail: {driver: directory}\nkeys: {file: ../ring}\nstore: {driver: mongo, uri: \"file:uri\"}\n")
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "uri"), []byte("mongodb://db\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(c.DataDir), string(c.Mail.Directory), string(c.Keys.File), string(c.Store.URI), string(c.Store.Path)}
	want := []string{dir + "/data", dir + "/data/mail", filepath.Dir(dir) + "/ring", "mongodb://db", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Store.URI = "mongodb://user:hunter2@db"
	c.Mail.SMTP.Password, c.SMS.HeaderValue, c.SMS.Secret = "hunter2", "hunter2", "hunter2"
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c.Store.URI)} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("the secret is shown: %s", shown)
		}
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	var report config.Report
	if !errors.As(err, &report) || !strings.HasSuffix(err.Error(), "none.yaml: the configuration file cannot be read: no such file or directory") {
		t.Errorf("got %v", err)
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.BaseURL = "http://localhost:8080/"
	c.DataDir = "/data"
	c.Mail.Driver = config.Directory
	c.Routes = []config.Route{{Tenant: "default", Workspace: "default", Host: "App.localhost:8080", Upstream: "http://127.0.0.1:9000/"}}
	c.Hosts = []config.Host{{Tenant: "default", Workspace: "office", Host: "Intranet.example.com:8080"}}
	got, err := config.Finish(c)
	if err != nil {
		t.Fatal(err)
	}
	if got.BaseURL != "http://localhost:8080" || got.Mail.Directory != "/data/mail" || got.Store.Path != "/data/gatepost.db" {
		t.Errorf("got %+v", got)
	}
	r := got.StaticRoutes()[0]
	if r.Host != "app.localhost:8080" || r.Policy != route.SignedIn || r.Source != route.FromFile || r.Upstream != "http://127.0.0.1:9000" {
		t.Errorf("the route is %+v", r)
	}

	if h := got.StaticHosts()[0]; h.Name != "intranet.example.com" || h.Tenant != "default" || h.Workspace != "office" || h.Purpose != route.ForApps {
		t.Errorf("the host is %+v", h)
	}

	c.BaseURL, c.Session.Idle = "http://id.example.com", 0
	_, err = config.Finish(c)
	want := "base_url: may begin with http only on this machine (localhost, names below it, 127.0.0.1): anywhere else passwords would cross the network in the clear\n" +
		"session.idle: 0s is not between 1m0s and 8784h0m0s"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// relative cuts the directory of the file from the paths.
func relative(c config.Config) config.Config {
	dir := filepath.Dir(string(c.DataDir)) + "/"
	for _, p := range []*config.Path{&c.DataDir, &c.Store.Path, &c.Keys.File} {
		*p = config.Path(strings.TrimPrefix(string(*p), dir))
	}
	return c
}

func ranges() cmp.Option {
	return cmp.Options{
		cmpopts.EquateEmpty(),
		cmp.Transformer("network", func(n config.Network) string {
			b, _ := n.MarshalText()
			return string(b)
		}),
	}
}
