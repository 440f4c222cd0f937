package notify

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
)

//go:embed templates
var builtin embed.FS

// The parts of a message, as their files end.
const (
	emailSubject = "email.subject"
	emailText    = "email.txt"
	emailHTML    = "email.html"
	smsText      = "sms.txt"
	textLayout   = "layout.txt"
	htmlLayout   = "layout.html"
)

func parts() []string { return []string{emailSubject, emailText, emailHTML, smsText} }

// executer is a parsed template of either kind.
type executer interface {
	Execute(w io.Writer, data any) error
}

// Templates are the parsed texts of all messages. They are immutable and safe for
// concurrent use.
type Templates struct {
	set map[string]executer // by "KIND.PART"
}

// LoadTemplates parses the built-in templates and those in dir that replace
// them; no dir means the built-in ones. Every template is rendered once with
// made-up values. The error joins all problems, each with its file.
func LoadTemplates(dir string) (*Templates, error) {
	l := &loader{dir: dir, files: map[string]string{}, texts: map[string]string{}}
	l.read(builtin, "templates", false)
	if dir != "" {
		l.read(os.DirFS(dir), ".", true)
	}
	t := &Templates{set: map[string]executer{}}
	texts, pages := l.layouts()
	for _, k := range Kinds() {
		for _, part := range parts() {
			name := string(k) + "." + part
			x, err := l.parse(name, texts, pages)
			if err == nil {
				t.set[name] = x
				err = try(k, part, x)
			}
			if err != nil {
				l.problem(name, err)
			}
		}
	}
	if len(l.found) > 0 {
		return nil, errors.Join(l.found...)
	}
	return t, nil
}

// loader reads template files.
type loader struct {
	dir   string
	texts map[string]string // by name
	files map[string]string // name -> where it came from, for messages
	found []error
}

func (l *loader) problem(name string, err error) {
	l.found = append(l.found, fmt.Errorf("%s: %w", l.files[name], err))
}

// read takes the files of a directory over those that are known. Files of the
// operator must be known: a misspelt name would change nothing, in silence.
func (l *loader) read(fsys fs.FS, dir string, own bool) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		l.found = append(l.found, fmt.Errorf("%s: %w", l.dir, reason(err)))
		return
	}
	for _, e := range entries {
		name, file := e.Name(), "built-in "+e.Name()
		if own {
			file = path.Join(l.dir, name)
			if _, known := l.texts[name]; !known {
				l.found = append(l.found, fmt.Errorf("%s: no message has a template of this name; names are KIND.PART with the kinds %s and the parts %s; or %s, %s",
					file, kindNames(), strings.Join(parts(), ", "), textLayout, htmlLayout))
				continue
			}
		}
		text, err := fs.ReadFile(fsys, path.Join(dir, name))
		if err != nil {
			l.found = append(l.found, fmt.Errorf("%s: %w", file, reason(err)))
			continue
		}
		l.texts[name], l.files[name] = string(text), file
	}
}

// reason is what the operating system said, without the path.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// layouts parses the shared parts: those of the operator over the built-in ones,
// so that a layout may hold only what it changes.
func (l *loader) layouts() (*texttemplate.Template, *htmltemplate.Template) {
	texts, pages := texttemplate.New(textLayout), htmltemplate.New(htmlLayout)
	for _, name := range []string{textLayout, htmlLayout} {
		first, _ := builtin.ReadFile("templates/" + name) // there, or no test passes
		for _, text := range []string{string(first), l.texts[name]} {
			var err error
			if name == textLayout {
				_, err = texts.Parse(text)
			} else {
				_, err = pages.Parse(text)
			}
			if err != nil {
				l.problem(name, err)
			}
		}
	}
	return texts, pages
}

func (l *loader) parse(name string, texts *texttemplate.Template, pages *htmltemplate.Template) (executer, error) {
	if strings.HasSuffix(name, emailHTML) {
		set, err := pages.Clone()
		if err != nil {
			return nil, err
		}
		return set.New(name).Parse(l.texts[name])
	}
	set, err := texts.Clone()
	if err != nil {
		return nil, err
	}
	return set.New(name).Parse(l.texts[name])
}

// try renders a template with made-up values and judges the outcome.
func try(k Kind, part string, x executer) error {
	for _, v := range samples(k) {
		out, err := execute(part, x, v)
		holds := func(s string) bool { return s != "" && strings.Contains(out, s) }
		switch {
		case err != nil:
			return err
		case strings.TrimSpace(out) == "":
			return errors.New("comes out empty")
		case part == emailSubject && k != OTP && holds(v.Code):
			return errors.New("shows the code: a subject is seen by whoever sees the screen, so only that of otp may")
		case part == emailSubject:
		case k.link() && !holds(v.Link):
			return errors.New("lacks {{.Link}}")
		case k.code() && !holds(v.Code):
			return errors.New("lacks {{.Code}}")
		}
	}
	return nil
}

// execute renders a part. A subject is one line, and so is an SMS.
func execute(part string, x executer, v View) (string, error) {
	var b strings.Builder
	if err := x.Execute(&b, v); err != nil {
		return "", err
	}
	if slices.Contains([]string{emailSubject, smsText}, part) {
		return strings.Join(strings.Fields(b.String()), " "), nil
	}
	return strings.TrimSpace(b.String()) + "\n", nil
}

// render fills the texts of a letter of a channel.
func (t *Templates) render(l *Letter, channel string, v View) error {
	list := map[string]*string{emailSubject: &l.Subject, emailText: &l.Text, emailHTML: &l.HTML}
	if channel == SMS {
		list = map[string]*string{smsText: &l.Text}
	}
	for part, into := range list {
		var err error
		if *into, err = execute(part, t.set[string(l.Kind)+"."+part], v); err != nil {
			return fmt.Errorf("template %s.%s: %w", l.Kind, part, err)
		}
	}
	return nil
}
