package config

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// decoder fills a Config from the file and from the environment, remembers
// where each setting was made and collects what is wrong.
type decoder struct {
	source string // the file as the caller named it, or the variable at hand
	dir    string // where relative paths start
	places places
	report Report
}

func (d *decoder) problem(line int, path, format string, args ...any) {
	d.report = append(d.report, Problem{Source: d.source, Line: line, Path: path, Say: fmt.Sprintf(format, args...)})
}

// file decodes the text of a configuration file and tells whether it could be
// read at all.
func (d *decoder) file(text []byte, into *Config) bool {
	parsed, err := parser.ParseBytes(text, 0)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		d.problem(lineOf(syntax.Token), "", "%s", syntax.Message)
		return false
	case err != nil:
		d.problem(0, "", "%s", err)
		return false
	case len(parsed.Docs) > 1:
		d.problem(lineOf(parsed.Docs[1].Start), "", "a second document begins here: the file holds one")
		return false
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return true
	}
	d.value(reflect.ValueOf(into).Elem(), "", parsed.Docs[0].Body)
	return true
}

func lineOf(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	return t.Position.Line
}

// value decodes one node into v.
func (d *decoder) value(v reflect.Value, path string, n ast.Node) {
	line := lineOf(n.GetToken())
	if path != "" {
		d.places[path] = place{d.source, line}
	}
	if scalar(v) {
		d.scalar(v, path, n)
		return
	}
	if n.Type() == ast.NullType {
		return // a section whose lines are all commented out
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(path, n, func(key string, at int, value ast.Node) {
			field, ok := member(v, key)
			if !ok {
				d.problem(at, join(path, key), "unknown key; allowed here: %s", strings.Join(members(v), ", "))
				return
			}
			d.value(field, join(path, key), value)
		})
	case reflect.Map:
		d.entries(v, path, n)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.problem(line, path, "wants a list, each entry on its own line after \"- \"")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, entry := range list.Values {
			d.value(v.Index(i), path+"["+strconv.Itoa(i)+"]", entry)
		}
	}
}

// entries decodes a mapping with free keys.
func (d *decoder) entries(v reflect.Value, path string, n ast.Node) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.object(path, n, func(key string, _ int, value ast.Node) {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(entry, join(path, key), value)
		v.SetMapIndex(reflect.ValueOf(key), entry)
	})
}

// object calls visit for the members of a mapping, in their order.
func (d *decoder) object(path string, n ast.Node, visit func(key string, line int, value ast.Node)) {
	line := lineOf(n.GetToken())
	var members []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		members = n.Values
	case *ast.MappingValueNode:
		members = []*ast.MappingValueNode{n}
	default:
		d.problem(line, path, "wants keys with values, not %s", kind(n))
		return
	}
	for _, m := range members {
		at := lineOf(m.Key.GetToken())
		switch key := m.Key.(type) {
		case *ast.MergeKeyNode:
			d.problem(at, path, "wants plain keys, not a merge")
		default:
			visit(key.GetToken().Value, at, m.Value)
		}
	}
}

// scalar tells whether v is set from one piece of text.
func scalar(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return false
	}
	return true
}

func (d *decoder) scalar(v reflect.Value, path string, n ast.Node) {
	line := lineOf(n.GetToken())
	var text string
	var isText bool
	switch n := n.(type) {
	case *ast.StringNode:
		text, isText = n.Value, true
	case *ast.LiteralNode:
		text, isText = n.Value.Value, true
	case *ast.IntegerNode:
		text = fmt.Sprint(n.Value)
	case *ast.BoolNode:
		text = strconv.FormatBool(n.Value)
	case *ast.NullNode:
		d.problem(line, path, "has no value")
		return
	default:
		d.problem(line, path, "wants one value, not %s", kind(n))
		return
	}
	if v.Kind() == reflect.String && !isText {
		d.problem(line, path, "wants text: put it in quotes")
		return
	}
	if v.Kind() == reflect.Bool && n.Type() != ast.BoolType {
		d.problem(line, path, "wants true or false, not %s", kind(n))
		return
	}
	if err := d.set(v, text); err != nil {
		d.problem(line, path, "%s", err)
	}
}

// set gives v the value that a text stands for.
func (d *decoder) set(v reflect.Value, text string) error {
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return t.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		text, err := d.text(v.Type(), text)
		v.SetString(text)
		return err
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	default:
		return fmt.Errorf("is of a kind that cannot be set: %s", v.Type())
	}
	return nil
}

// text resolves paths and references to files.
func (d *decoder) text(t reflect.Type, text string) (string, error) {
	switch t {
	case reflect.TypeFor[Path]():
		return d.resolve(text), nil
	case reflect.TypeFor[Secret]():
		name, ok := strings.CutPrefix(text, "file:")
		if !ok {
			return text, nil
		}
		content, err := os.ReadFile(d.resolve(name))
		if err != nil {
			var at *os.PathError
			if errors.As(err, &at) {
				err = at.Err
			}
			return "", fmt.Errorf("the file %q cannot be read: %w", name, err)
		}
		return strings.TrimRight(string(content), "\r\n"), nil
	}
	return text, nil
}

func (d *decoder) resolve(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
}

// member returns the field of a struct whose key is given.
func member(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if name(v.Type().Field(i)) == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// members returns the keys of a struct in their order.
func members(v reflect.Value) []string {
	keys := make([]string, v.NumField())
	for i := range keys {
		keys[i] = name(v.Type().Field(i))
	}
	return keys
}

func name(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// kind names a node for people who do not read the YAML specification.
func kind(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "keys with values"
	case ast.SequenceType:
		return "a list"
	case ast.StringType, ast.LiteralType:
		return "text"
	case ast.IntegerType:
		return "a number"
	case ast.FloatType:
		return "a number with a fraction"
	case ast.BoolType:
		return "true or false"
	case ast.NullType:
		return "nothing"
	}
	return strings.ToLower(n.Type().String())
}
