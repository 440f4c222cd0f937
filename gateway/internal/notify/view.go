package notify

import (
	"math"
	"strconv"
	"time"
)

// View is what templates see. Name and Identifier may be empty; Link is empty in
// kinds without one.
type View struct {
	Brand      string // who asks
	Accent     string // "#rrggbb", for a button
	Ink        string // for text on the accent
	Name       string // of the person
	Identifier string // that the person signs in with
	Code       string
	Link       string
	Life       string // how long code and link hold, such as "5 minutes"
	Invitation bool
}

const accent = "#1f5bb5"

// view makes what the templates see of a message.
func view(to string, b Brand, d Data) View {
	v := View{
		Brand: brandName(b.Name), Accent: b.Accent, Name: personal(d.Name), Identifier: signName(d.Identifier, to),
		Code: d.Code, Link: d.Link, Life: life(d.Life), Invitation: d.Invitation,
	}
	light, ok := luminance(v.Accent)
	if !ok {
		v.Accent = accent
		light, _ = luminance(accent)
	}
	v.Ink = "#ffffff"
	if (light+0.05)/(darkInk+0.05) > 1.05/(light+0.05) {
		v.Ink = "#10151d"
	}
	return v
}

// brandName is the name of a brand, which a tenant's administrator chose.
func brandName(name string) string {
	if name == "" {
		return "Gatepost"
	}
	return name
}

// darkInk is the luminance of #10151d.
const darkInk = 0.0075

// luminance is WCAG 2.2, "relative luminance", of "#rrggbb".
func luminance(hex string) (float64, bool) {
	if len(hex) != 7 || hex[0] != '#' {
		return 0, false
	}
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		return 0, false
	}
	linear := func(part uint64) float64 {
		c := float64(part&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n), true
}

// samples are what templates are tried with: a message with everything, an
// invitation, and one with as little as there can be.
func samples(k Kind) []View {
	whole := Data{Name: "Jan Kowalski", Identifier: "jan", Life: time.Hour}
	if k.code() {
		whole.Code = "31415926"
	}
	if k.link() {
		whole.Link = "https://id.example.com/sample"
	}
	invitation, bare := whole, whole
	invitation.Invitation = true
	bare.Name, bare.Identifier = "", ""
	var list []View
	for _, d := range []Data{whole, invitation, bare} {
		list = append(list, view("jan@example.com", Brand{Name: "Sample"}, d))
	}
	return list
}
