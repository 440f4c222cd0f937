// Package wiretest judges store/mongo over the wire.
//
//	GATEPOST_TEST_MONGO_URI set:  that server, in databases of its own that are dropped again
//	else:                         FerretDB 1.24.0, started in this process on SQLite
//
// It is a module of its own because FerretDB drags in much that the product has
// no use for. The report names the server that ran and what it could not show;
// run the tests with -v to read it.
package wiretest
