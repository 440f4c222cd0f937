package config

import (
	"reflect"
	"slices"
	"strings"
)

const (
	prefix = "GATEPOST_"
	level  = "__"
)

// environment applies the variables that begin with GATEPOST_. Of a name that
// occurs twice the last value counts, as it does for programs that are started.
func (d *decoder) environment(environ []string, into *Config) {
	values := map[string]string{}
	var names []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, prefix+"TEST_") || strings.HasPrefix(name, prefix+"FAULT_") {
			continue
		}
		if _, seen := values[name]; !seen {
			names = append(names, name)
		}
		values[name] = value
	}
	slices.Sort(names)
	for _, name := range names {
		d.source = name
		keys := strings.Split(strings.ToLower(strings.TrimPrefix(name, prefix)), level)
		d.variable(reflect.ValueOf(into).Elem(), "", keys, values[name])
	}
}

// variable sets what keys lead to from v.
func (d *decoder) variable(v reflect.Value, path string, keys []string, text string) {
	switch {
	case len(keys) == 0:
		d.places[path] = place{source: d.source}
		d.assign(v, path, text)
	case scalar(v):
		d.problem(0, path, "has nothing below it")
	case v.Kind() == reflect.Struct:
		field, ok := member(v, keys[0])
		if !ok {
			d.problem(0, join(path, keys[0]), "unknown setting; allowed here: %s", strings.Join(variables(v, path), ", "))
			return
		}
		d.variable(field, join(path, keys[0]), keys[1:], text)
	case v.Kind() == reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		entry := reflect.New(v.Type().Elem()).Elem()
		d.variable(entry, join(path, keys[0]), keys[1:], text)
		v.SetMapIndex(reflect.ValueOf(keys[0]), entry)
	case plain(v):
		d.problem(0, path, "is a list: set it as a whole, with commas")
	default:
		d.problem(0, path, "stands in the file only")
	}
}

// plain tells whether v is a list of scalars.
func plain(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && scalar(reflect.New(v.Type().Elem()).Elem())
}

// assign sets a scalar or a list of scalars.
func (d *decoder) assign(v reflect.Value, path, text string) {
	switch {
	case scalar(v):
		if err := d.set(v, text); err != nil {
			d.problem(0, path, "%s", err)
		}
		return
	case v.Kind() == reflect.Slice && !plain(v):
		d.problem(0, path, "stands in the file only")
		return
	case !plain(v):
		d.problem(0, path, "holds several settings: set them one by one")
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		entry := reflect.New(v.Type().Elem()).Elem()
		if err := d.set(entry, part); err != nil {
			d.problem(0, path, "%s", err)
		}
		list = reflect.Append(list, entry)
	}
	v.Set(list)
}

// variables returns the names of the variables one level below path.
func variables(v reflect.Value, path string) []string {
	var names []string
	for i, key := range members(v) {
		if f := v.Field(i); f.Kind() == reflect.Slice && !plain(f) {
			continue // stands in the file only
		}
		names = append(names, prefix+strings.ToUpper(strings.ReplaceAll(join(path, key), ".", level)))
	}
	return names
}
