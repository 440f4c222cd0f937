// Package authctx holds what is known of a person who signs in, as pure values.
//
//	data of an IDP --> Map(mappings) --> New(values, identity) --> Context
//	                   typed, by path    seals who it is            base
//	                                                                 |
//	script, app --> Apply(author, set, maySet) --> Context + Patch --+--> view
//	                refuses what it may not change                   |
//	                                                                 |
//	newer data of the same person --> Rebase: the same patches over a new base
//
// A context is a base and an ordered list of patches with their authors. What
// everybody reads, the view, is the base with the patches laid over it, and is
// never stored. Apply is the only way to change anything, so no script, app or
// plugin can forge who the person is.
//
// Attributes are JSON values: nil, bool, string, json.Number, []any and
// map[string]any. Numbers keep their text, so that no identifier loses digits
// on the way. A name in a path is separated from the next by a dot, and a number
// selects an element of an array: "address.locality", "emails.0".
//
// Every value of this package is immutable after its construction and safe for
// concurrent use. The package uses the standard library only.
package authctx
