package mongo

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// decode sets v, which is settable and zero, from what encode made of a value
// of its type.
func (c *codec) decode(raw bson.RawValue, v reflect.Value) error {
	if raw.Type == bson.TypeNull {
		return decodeNull(c.shape(v.Type()), v)
	}
	switch c.shape(v.Type()) {
	case moment, text:
		if s, ok := raw.StringValueOK(); ok {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
		}
		return decodeScalar(raw, v)
	case rawJSON:
		s, ok := raw.StringValueOK()
		if !ok {
			return mismatch(raw, v)
		}
		return json.Unmarshal([]byte(s), v.Addr().Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return c.decode(raw, v.Elem())
	case reflect.Struct:
		return c.decodeStruct(raw, v)
	case reflect.Map:
		return c.decodeMap(raw, v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			_, b, ok := raw.BinaryOK()
			if !ok {
				return mismatch(raw, v)
			}
			v.SetBytes(append([]byte{}, b...))
			return nil
		}
		return c.decodeList(raw, v)
	case reflect.Array:
		return c.decodeList(raw, v)
	}
	return decodeScalar(raw, v)
}

// decodeNull leaves v as it is, unless its type wants to hear of null.
func decodeNull(s shape, v reflect.Value) error {
	if s != rawJSON {
		return nil
	}
	return json.Unmarshal([]byte("null"), v.Addr().Interface())
}

func mismatch(raw bson.RawValue, v reflect.Value) error {
	return fmt.Errorf("a BSON %s where a %s belongs", raw.Type, v.Type())
}

func decodeScalar(raw bson.RawValue, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Bool:
		if b, ok := raw.BooleanOK(); ok {
			v.SetBool(b)
			return nil
		}
	case reflect.String:
		if s, ok := raw.StringValueOK(); ok {
			v.SetString(s)
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n, ok := integer(raw); ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if n, ok := unsigned(raw); ok && !v.OverflowUint(n) {
			v.SetUint(n)
			return nil
		}
	case reflect.Float32, reflect.Float64:
		if f, ok := raw.AsFloat64OK(); ok && !v.OverflowFloat(f) {
			v.SetFloat(f)
			return nil
		}
	}
	return mismatch(raw, v)
}

func integer(raw bson.RawValue) (int64, bool) {
	if n, ok := raw.Int64OK(); ok {
		return n, true
	}
	n, ok := raw.Int32OK()
	return int64(n), ok
}

func unsigned(raw bson.RawValue) (uint64, bool) {
	if n, ok := integer(raw); ok {
		return uint64(n), n >= 0
	}
	s, _ := raw.StringValueOK()
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func (c *codec) decodeStruct(raw bson.RawValue, v reflect.Value) error {
	doc, ok := raw.DocumentOK()
	if !ok {
		return mismatch(raw, v)
	}
	elements, err := doc.Elements()
	if err != nil {
		return err
	}
	given := make(map[string]bson.RawValue, len(elements))
	for _, e := range elements {
		given[e.Key()] = e.Value()
	}
	for _, f := range c.members(v.Type()) {
		value, ok := given[f.key]
		if !ok {
			continue
		}
		m, err := place(v, f.index)
		if err == nil {
			err = c.decode(value, m)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// place returns a field to set, and makes the embedded structs on the way.
func place(v reflect.Value, index []int) (reflect.Value, error) {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return v, fmt.Errorf("an embedded, unexported %s cannot be made", v.Type())
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	return v, nil
}

func (c *codec) decodeMap(raw bson.RawValue, v reflect.Value) error {
	doc, ok := raw.DocumentOK()
	if !ok {
		return mismatch(raw, v)
	}
	elements, err := doc.Elements()
	if err != nil {
		return err
	}
	t := v.Type()
	m := reflect.MakeMapWithSize(t, len(elements))
	for _, e := range elements {
		key := unescapeKey(e.Key())
		value := reflect.New(t.Elem()).Elem()
		if err := c.decode(e.Value(), value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		m.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), value)
	}
	v.Set(m)
	return nil
}

func (c *codec) decodeList(raw bson.RawValue, v reflect.Value) error {
	array, ok := raw.ArrayOK()
	if !ok {
		return mismatch(raw, v)
	}
	values, err := array.Values()
	if err != nil {
		return err
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(values), len(values)))
	}
	for i := range min(len(values), v.Len()) {
		if err := c.decode(values[i], v.Index(i)); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}
