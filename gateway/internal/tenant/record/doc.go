// Package record holds what keepers of configuration records share: reading a
// body with members that are only stored and echoed, checking values, paging
// through a filtered listing, and changing a row at the revision the caller saw.
//
//	body --> Decode --> typed members --> OneOf, ID, Text, URL --> keeper --> Change --> table
//	   \--> Members --> extra object ----------------------------------/        |
//	answer <-- Join <-- typed + extra <-- Pick (filter, keyset page) <----------+
//
// Every error that a caller may see is a *fault.Error that names the member.
package record
