package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/route"
)

// Load reads the file at path, applies the environment (entries as os.Environ
// gives them) and returns the complete configuration. Without a path there is
// no file. The error is a Report with every problem of both; the Config is then
// not to be used.
func Load(path string, environ []string) (Config, error) {
	c := Default()
	d := &decoder{source: path, dir: filepath.Dir(path), places: places{}}
	c.DataDir = Path(d.resolve(string(c.DataDir)))
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, Report{{Source: path, Say: "the configuration file cannot be read: " + reason(err)}}
		}
		if !d.file(text, &c) {
			return c, d.report.sorted() // what follows would be about defaults
		}
	}
	d.dir = "."
	d.environment(environ, &c)
	c.derive()

	found := Report{}
	for _, p := range c.problems() {
		if d.known(p.Path) {
			continue
		}
		at := d.places.of(p.Path)
		p.Source, p.Line = at.source, at.line
		if p.Source == "" {
			p.Source = path
		}
		found = append(found, p)
	}
	return c, append(d.report, found...).sorted()
}

// Finish completes and judges a configuration made in code, such as Default()
// with some fields set. Relative paths count from the working directory.
func Finish(c Config) (Config, error) {
	c.derive()
	return c, c.problems().sorted()
}

// known tells whether something is wrong already with a setting or with what it
// is part of: one mistake is reported once.
func (d *decoder) known(path string) bool {
	for _, p := range d.report {
		if p.Path != "" && (p.Path == path || strings.HasPrefix(path, p.Path+".") || strings.HasPrefix(path, p.Path+"[")) {
			return true
		}
	}
	return false
}

// derive fills in what follows from other settings and brings addresses into
// their one spelling.
func (c *Config) derive() {
	below := func(p *Path, name string) {
		if *p == "" {
			*p = Path(filepath.Join(string(c.DataDir), name))
		}
	}
	below(&c.Keys.File, "keys")
	if c.Store.Driver == Embedded {
		below(&c.Store.Path, "gatepost.db")
	}
	if c.Mail.Driver == Directory {
		below(&c.Mail.Directory, "mail")
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	c.Extensions.BaseURL = strings.TrimRight(c.Extensions.BaseURL, "/")
}

// StaticRoutes returns the routes of the file as records of the route package.
func (c Config) StaticRoutes() []route.Route {
	records := make([]route.Route, len(c.Routes))
	for i, r := range c.Routes {
		records[i] = r.Record()
	}
	return records
}

// StaticHosts returns the hosts of the file as records of the route package.
func (c Config) StaticHosts() []route.Host {
	records := make([]route.Host, len(c.Hosts))
	for i, h := range c.Hosts {
		records[i] = route.Host{Name: route.Hostname(h.Host), Tenant: h.Tenant, Workspace: h.Workspace, Purpose: route.ForApps}
	}
	return records
}

// reason returns what the operating system said, without the path that the
// message names anyway.
func reason(err error) string {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
