package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Theme is how a workspace looks. The zero Theme is Gatepost's own.
type Theme struct {
	Name    string // of the workspace or company; stands beside or instead of the logo
	LogoURL string // an https address, or a path of this host; anything else is not shown
	Accent  string // "#rrggbb" for buttons and links; anything else is not used
}

// The colours of cards in gatepost.css, against which an accent must be
// readable.
const (
	lightCard  = 0xffffff
	darkCard   = 0x1b1f26
	darkInk    = 0x10151d
	minimumAA  = 4.5 // WCAG 2.2, 1.4.3
	sheetStart = "theme/"
	sheetEnd   = ".css"
)

type color uint32

// parseColor reads "#rrggbb".
func parseColor(s string) (color, bool) {
	if len(s) != 7 || s[0] != '#' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:], 16, 32)
	return color(n), err == nil
}

func (c color) parts() [3]float64 {
	return [3]float64{float64(c >> 16 & 0xff), float64(c >> 8 & 0xff), float64(c & 0xff)}
}

func (c color) String() string { return fmt.Sprintf("#%06x", uint32(c)) }

// luminance is WCAG 2.2, "relative luminance".
func (c color) luminance() float64 {
	var lin [3]float64
	for i, v := range c.parts() {
		v /= 255
		if v <= 0.04045 {
			lin[i] = v / 12.92
			continue
		}
		lin[i] = math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*lin[0] + 0.7152*lin[1] + 0.0722*lin[2]
}

// contrast is WCAG 2.2, "contrast ratio".
func contrast(a, b color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// mix returns c moved towards to: 0 is c, 1 is to.
func (c color) mix(to color, share float64) color {
	var out color
	b := to.parts()
	for i, v := range c.parts() {
		out = out<<8 | color(math.Round(v+(b[i]-v)*share))
	}
	return out
}

// readable moves c towards to until it can be read on ground.
func (c color) readable(ground, to color) color {
	const steps = 20
	for i := range steps + 1 {
		if m := c.mix(to, float64(i)/steps); contrast(m, ground) >= minimumAA {
			return m
		}
	}
	return to
}

// sheet returns the style sheet of an accent: as close to it as people can still
// read, in light and in dark.
func sheet(accent color) string {
	light, dark := accent.readable(lightCard, 0), accent.readable(darkCard, 0xffffff)
	return fmt.Sprintf(":root{--accent:%s;--on-accent:%s}@media(prefers-color-scheme:dark){:root{--accent:%s;--on-accent:%s}}\n",
		light, color(lightCard), dark, color(darkInk))
}

// themeSheet serves the sheet that name stands for. The address says all about
// it, so nothing is stored.
func themeSheet(name string) (string, bool) {
	hex, ok := strings.CutPrefix(name, sheetStart)
	if !ok {
		return "", false
	}
	hex, ok = strings.CutSuffix(hex, sheetEnd)
	if !ok || strings.ToLower(hex) != hex {
		return "", false
	}
	c, ok := parseColor("#" + hex)
	if !ok {
		return "", false
	}
	return sheet(c), true
}

// clean returns the theme with what cannot be shown left out.
func (t Theme) clean() Theme {
	if t.Name == "" {
		t.Name = "Gatepost"
	}
	own := strings.HasPrefix(t.LogoURL, "/") && !strings.HasPrefix(t.LogoURL, "//")
	if !own && !strings.HasPrefix(t.LogoURL, "https://") {
		t.LogoURL = ""
	}
	return t
}
