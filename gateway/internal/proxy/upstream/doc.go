// Package upstream speaks HTTP/1.1 (RFC 9112) to the apps behind the proxy over
// connections that it owns from the dial to the close.
//
//	Pool.Take (idle, proven quiet) --+--> Conn.Write --> Conn.ReadHead --> Conn.Whole
//	Pool.Dial (guarded address) -----+                       |        |        | all there
//	                                                         |        +--> Conn.Next, again and again
//	                                                         v                 v
//	                                               Tick: is it still wanted?   Pool.Put, or Conn.Close
//
// No byte of one answer may ever reach another request. That rests on one rule:
// a connection goes back to the pool only after its request was sent completely,
// its answer was read to the end by unmistakable framing and nothing was left
// behind it; and it comes out again only when nothing arrived meanwhile. In
// every other case it is closed. Nothing that a request hands out is recycled:
// a Conn belongs to one exchange at a time, and its buffer is only its own.
//
// The package is neither net/http's client nor fasthttp's. Both were tried, as
// bare forwarders without any of the proxy's work, on two cores in front of an
// nginx with 1 KiB answers: net/http.Transport took 33 to 39 microseconds of CPU a
// request, fasthttp.HostClient 14 to 17. The whole of the edge and the proxy over
// this package takes about 23, of which 15 are system calls. The first costs two
// goroutines a connection and a dozen allocations a request; the second recycles
// stream objects that other goroutines may still read, hides how far a body was
// sent, answers early answers late, and cannot tell a client that waits from one
// that left. Command gateway/internal/proxy/bench measures again.
package upstream
