// Package archtest holds the layout of the project as one table and judges the
// source tree by it.
//
//	source files --> parse --> tree --> places    is the package in the picture?
//	(fs.FS, no build)            |----> imports   rows, roots, third parties
//	                             |----> documents doc.go with a picture
//	                             '----> state     init, mutable variables
//	                                       |
//	                                       '----> []Finding: file, line, rule
//
// The rows of gateway/internal:
//
//	9  config
//	8  portal console openid api proxy ops
//	7  signin promote setup
//	6  live login postauth
//	5  idp customapp token
//	4  client script pool
//	3  tenant role session grant route notify pluginhost
//	2  changes flag limit audit job page
//	1  store vault egress web
//	0  fault
//
// A package imports only from lower rows, and from authctx, plugins and
// scripts, which in turn never import gateway. A package below another
// (pool/credential) is of the same family and row, and a family is free inside
// itself. Only the gateway package, its commands and its tests see everything.
//
// Test files are held to less: they may reach across rows and use any listed
// library. When a better picture shows itself, move the package and the table
// together.
package archtest
