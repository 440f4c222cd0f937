// Package mongo keeps records in MongoDB, for any number of gateways.
//
//	Insert   insertOne / insertMany       majority, journaled
//	Replace  replaceOne {_id, rev, live}  MatchedCount 1: won
//	Delete   deleteOne {_id, rev}         DeletedCount 1: won
//	Get, Scan, Count, Due                 from the primary
//
//	table -> collection: {
//	  _id:     "<tenant, escaped>/<id>"      begins with the tenant: the shard key
//	  tenant, rev, version,
//	  expires, due:                          dates; missing: never
//	  ix: {<index>: {equal, order}},
//	  value:   {name: "Ann", at: "2026-01-02T03:04:05.123456789Z", payload: "{\"n\":1e400}"}
//	}
//
// Nothing needs a transaction or a change stream, so a standalone server will
// do. A TTL index is made where the server has it and removes what nobody swept;
// reads filter by expiry themselves.
//
// Values are written by their json tags with the meaning of encoding/json: what
// is read is what a round through JSON would give. The driver's own JSON-tag
// option is not used because it means less: it drops the fields of unexported
// embedded structs, cuts times to milliseconds, refuses large unsigned numbers,
// ignores MarshalText, and turns members of type any into other types. What is
// free-form (raw JSON, any) is kept as JSON text, because BSON changes numbers
// and forbids names.
package mongo
