package page

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// palette reads the colours of one block of gatepost.css.
func palette(t *testing.T, css string) map[string]color {
	t.Helper()
	out := map[string]color{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		c, ok := parseColor(m[2])
		if !ok {
			t.Fatalf("%s", m[0])
		}
		out[m[1]] = c
	}
	return out
}

// TestContrast holds the style sheet to WCAG 2.2 AA in both schemes: 4.5 for
// text (1.4.3), 3 for the edges of fields and for the focus ring (1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := assets.ReadFile("assets/gatepost.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "*, *::before")
	for scheme, block := range map[string]string{"light": light, "dark": dark} {
		p := palette(t, block)
		for _, pair := range []struct {
			fore, back string
			least      float64
		}{
			{"text", "card", 4.5},
			{"text", "ground", 4.5},
			{"text", "field", 4.5},
			{"muted", "card", 4.5},
			{"muted", "ground", 4.5},
			{"accent", "card", 4.5},
			{"on-accent", "accent", 4.5},
			{"bad", "card", 4.5},
			{"bad", "bad-ground", 4.5},
			{"good", "good-ground", 4.5},
			{"field-line", "card", 3},
			{"accent", "field", 3},
		} {
			fore, okF := p[pair.fore]
			back, okB := p[pair.back]
			if !okF || !okB {
				t.Fatalf("%s: %s or %s is missing", scheme, pair.fore, pair.back)
			}
			if got := contrast(fore, back); got < pair.least {
				t.Errorf("%s: %s on %s has %.2f, needs %.1f", scheme, pair.fore, pair.back, got, pair.least)
			}
		}
		if want := map[string]color{"light": lightCard, "dark": darkCard}[scheme]; p["card"] != want {
			t.Errorf("%s: the card is %s, theme.go says %s", scheme, p["card"], want)
		}
	}
}

// TestAccentIsAlwaysReadable tries accents of all kinds.
func TestAccentIsAlwaysReadable(t *testing.T) {
	t.Parallel()
	for c := color(0); c <= 0xffffff; c += 0x0b1d17 {
		p := palette(t, strings.NewReplacer(":#", ": #", "}", ";}").Replace(sheet(c)))
		if len(p) != 2 {
			t.Fatalf("%s: %s", c, sheet(c))
		}
		light, dark := c.readable(lightCard, 0), c.readable(darkCard, 0xffffff)
		if contrast(light, lightCard) < minimumAA || contrast(dark, darkCard) < minimumAA || contrast(dark, darkInk) < minimumAA {
			t.Errorf("%s becomes %s and %s", c, light, dark)
		}
	}
	for accent, want := range map[string]string{"#1f5bb5": "--accent:#1f5bb5;--on-accent:#ffffff", "#ffffff": "--accent:#", "#000000": "--accent:#000000;--on-accent:#ffffff"} {
		c, ok := parseColor(accent)
		if !ok || !strings.Contains(sheet(c), want) {
			t.Errorf("%s: %s", accent, sheet(c))
		}
	}
}

func TestParseColor(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "#12345", "#1234567", "123456x", "#12345g", "red", "#+12345", "url(x)"} {
		if c, ok := parseColor(bad); ok {
			t.Errorf("%q reads as %s", bad, c)
		}
	}
}

func TestThemeClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://x.example/logo.svg": "https://x.example/logo.svg", "/logo.png": "/logo.png",
		"//evil/x": "", "http://x/logo": "", "javascript:x": "", "data:image/png,x": "", "logo.png": "",
	} {
		if got := (Theme{LogoURL: in}).clean(); got.LogoURL != want || got.Name != "Gatepost" {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

// TestTexts: every key that a template asks for is there, and every text is
// asked for, by a template or by the code that names it or the start of it.
func TestTexts(t *testing.T) {
	t.Parallel()
	asked := regexp.MustCompile(`\bt "([^"]+)"`)
	named := regexp.MustCompile(`"([a-z0-9_.]+)"`)
	used := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	views, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, views...) {
		if f == "texts.go" || strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asked.FindAllStringSubmatch(string(src), -1) {
			if texts[m[1]] == "" {
				t.Errorf("%s: there is no text %q", f, m[1])
			}
		}
		for _, m := range named.FindAllStringSubmatch(string(src), -1) {
			for key := range texts {
				used[key] = used[key] || key == m[1] || strings.HasSuffix(m[1], ".") && strings.HasPrefix(key, m[1])
			}
		}
	}
	for key := range texts {
		if !used[key] {
			t.Errorf("nobody uses the text %q", key)
		}
	}
}
