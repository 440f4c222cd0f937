// Package e2e tests the whole product from outside: the built program, a real
// browser, raw sockets.
//
//	go build ./gateway/cmd/gatepost --> gatepost demo --listen 127.0.0.1:0
//	                                        |  demo.json: addresses and clients
//	     Chromium, net/http, raw TCP <------+
package e2e
