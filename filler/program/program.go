// Package program is what the filler is made of, for the mains that run it.
package program

import (
	"github.com/valyala/fasthttp"

	"pagegate/filler/handler"
	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/flow"
	"pagegate/internal/pagecache"
)

// Filler returns the filler.
func Filler() flow.Program {
	return flow.Program{
		Name:      config.Filler,
		OpenCache: flow.OpenRemote,
		Handler: func(d *door.Door, _ pagecache.Cache) fasthttp.RequestHandler {
			d.FinalOnly = true // nginx takes a 1xx for the answer, and waits for a body until it times out
			return (&handler.Handler{Door: d}).Handle
		},
	}
}
