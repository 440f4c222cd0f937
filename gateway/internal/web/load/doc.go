// Package load measures servers beside each other on one machine: it starts
// programs, sends them requests by wrk in turns, and keeps what came of it. The
// programs below gateway/internal/*/bench stand on it.
//
//	Programs --> Launch --> Process    all end with Stop
//	Server   --> Wrk.Run --> Result    any answer but a good one is an error
package load
