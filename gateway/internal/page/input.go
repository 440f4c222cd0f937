package page

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of a FormField.
const (
	FieldText     = "text"
	FieldEmail    = "email"
	FieldPhone    = "tel"
	FieldNumber   = "number"
	FieldDate     = "date"
	FieldCheckbox = "checkbox" // sends "true" when ticked
	FieldSelect   = "select"
)

// FormField is an input that a schema asks for. Name is sent as it is and is the
// input's id, so it must differ from the page's own names: the handlers put
// "payload." before it. What is wrong with it stands in the page's Errors.
type FormField struct {
	Name, Label, Hint string
	Kind              string // one of the kinds above; anything else is text
	Value             string // a date as 2006-01-02; a ticked checkbox as "true"
	Required          bool
	Options           []Choice // of a select
	Autocomplete      string   // such as "given-name"; empty is "off"
}

// input is one labelled field of a form.
type input struct {
	Name, Label, Hint, Value, Autocomplete, Error, DescribedBy string
	Type, InputMode, Kind                                      string
	Focus, Secret, Optional, Code, Prose                       bool
	Options                                                    []Choice
}

func newInput(name, label, value string, errs []FieldError, autocomplete string, focus, secret bool) input {
	return newInputHint(name, label, "", value, errs, autocomplete, focus, secret)
}

func newInputHint(name, label, hint, value string, errs []FieldError, autocomplete string, focus, secret bool) input {
	in := input{Name: name, Label: label, Hint: hint, Value: value, Autocomplete: autocomplete, Focus: focus, Secret: secret, Type: "text"}
	if secret {
		in.Type = "password"
	}
	var ids []string
	if hint != "" {
		ids = append(ids, name+"-hint")
	}
	for _, e := range errs {
		if e.Field == name {
			in.Error = e.Say
			ids = append(ids, name+"-error")
			break
		}
	}
	if at := slices.IndexFunc(errs, func(e FieldError) bool { return e.Field != "" }); at >= 0 {
		in.Focus = errs[at].Field == name // the first thing to correct
	}
	if in.Focus && len(errs) > 0 && in.Error == "" {
		ids = append(ids, "errors")
	}
	in.DescribedBy = strings.Join(ids, " ")
	return in
}

// newCode is one input for a one-time code of some digits. It takes what is
// pasted, so it has no pattern and no greatest length.
func newCode(name, label string, digits int, errs []FieldError, focus bool) input {
	hint := ""
	if digits > 0 {
		hint = strconv.Itoa(digits) + " " + texts["code.digits"]
	}
	in := newInputHint(name, label, hint, "", errs, "one-time-code", focus, false)
	in.InputMode, in.Code = "numeric", true
	return in
}

// newUserCode is the input for the code that a device shows.
func newUserCode(name, label, value string, errs []FieldError) input {
	in := newInput(name, label, value, errs, "off", true, false)
	in.Code = true
	return in
}

// newField is the input of a field of a schema.
func newField(f FormField, errs []FieldError) input {
	label := f.Label
	if !f.Required && f.Kind != FieldCheckbox {
		label += " " + texts["field.optional"]
	}
	autocomplete := f.Autocomplete
	if autocomplete == "" {
		autocomplete = "off"
	}
	in := newInputHint(f.Name, label, f.Hint, f.Value, errs, autocomplete, false, false)
	in.Kind, in.Optional, in.Options = f.Kind, !f.Required, f.Options
	switch f.Kind {
	case FieldEmail, FieldPhone, FieldDate:
		in.Type = f.Kind
	case FieldNumber: // type=number changes its value under a mouse wheel
		in.InputMode = "decimal"
	case FieldCheckbox:
		if f.Value != "true" {
			in.Value = ""
		}
	default:
		in.Prose = true
	}
	return in
}

// describe adds an element's id to what describes the field, if it is there.
func (in input) describe(id string, there bool) input {
	out := in
	if there {
		out.DescribedBy = strings.TrimSpace(id + " " + in.DescribedBy)
	}
	return out
}

// optional returns the field as one that may stay empty.
func (in input) optional() input {
	out := in
	out.Optional = true
	return out
}

// hinted returns the field with a hint, if there is one.
func (in input) hinted(hint string) input {
	out := in
	out.Hint = hint
	return out.describe(in.Name+"-hint", hint != "")
}

// span says how long something is, in the largest unit that gives a whole
// number: "30 days", "12 hours".
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		n := int(d / u.unit)
		switch {
		case n < 1 || d%u.unit != 0 && u.unit != time.Minute:
		case n == 1:
			return "1 " + u.name
		default:
			return strconv.Itoa(n) + " " + u.name + "s"
		}
	}
	return "a moment"
}
