package page_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/gatepost/gatepost/gateway/internal/page"
)

// TestForms: each form that changes something carries the token, and nothing
// that one can type into lacks a label.
func TestForms(t *testing.T) {
	t.Parallel()
	forms := 0
	for name, p := range every("value") {
		_, doc := render(t, page.Theme{}, p)
		labels, ids := map[string]bool{}, map[string]bool{}
		for _, n := range nodes(doc) {
			if id, ok := attr(n, "id"); ok {
				if ids[id] {
					t.Errorf("%s: two elements have the id %q", name, id)
				}
				ids[id] = true
			}
			if to, ok := attr(n, "for"); ok && n.Data == "label" && n.FirstChild != nil {
				labels[to] = true
			}
		}
		for _, n := range nodes(doc) {
			if n.Data == "form" && name != "FormPost" { // that one goes to another site
				forms++
				checkForm(t, name, n)
			}
			if kind, _ := attr(n, "type"); n.Data == "input" && kind != "hidden" {
				if id, _ := attr(n, "id"); !labels[id] {
					t.Errorf("%s: the input %q has no label", name, id)
				}
				if by, ok := attr(n, "aria-describedby"); ok {
					for id := range strings.FieldsSeq(by) {
						if !ids[id] {
							t.Errorf("%s: aria-describedby names %q, which is not there", name, id)
						}
					}
				}
			}
			if kind, _ := attr(n, "type"); n.Data == "input" && kind == "hidden" {
				if _, ok := attr(n, "id"); ok {
					t.Errorf("%s: a hidden field with an id", name)
				}
			}
			if n.Data == "select" {
				if id, _ := attr(n, "id"); !labels[id] {
					t.Errorf("%s: the list %q has no label", name, id)
				}
			}
			if n.Data == "button" && strings.TrimSpace(textOf(n)) == "" {
				t.Errorf("%s: a button without a name", name)
			}
		}
	}
	if forms < 40 {
		t.Errorf("only %d forms were looked at", forms)
	}
}

func checkForm(t *testing.T, name string, form *html.Node) {
	t.Helper()
	if m, _ := attr(form, "method"); m != "post" {
		t.Errorf("%s: a form with method %q", name, m)
	}
	for n := range form.Descendants() {
		if field, _ := attr(n, "name"); field == page.CSRFField {
			if v, _ := attr(n, "value"); v == "value" {
				return
			}
		}
	}
	t.Errorf("%s: a form without the token", name)
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}
