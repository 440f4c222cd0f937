// Package ferret starts FerretDB in this process, as a stand-in for MongoDB.
//
//	Start(dir) --> FerretDB over SQLite files in dir --> mongodb://127.0.0.1:<free port>/
//	            <-- stop()
//
// FerretDB speaks MongoDB's protocol over SQLite. It is good enough to run the
// product on and to show most of what the store promises; its conditional
// updates are not atomic, it has no TTL indexes and it is not what anybody
// should keep their users in.
package ferret
