package door

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
)

const (
	// maxHead bounds a request's head in bytes: a key of 8,000 bytes and ample fields.
	maxHead = 32 << 10
	// writeBuffer is the size in bytes of what is collected before it is sent. A page that fits, with its head, goes out in
	// one write: each further one costs as much as the first, at both ends. Larger bodies are not copied through it.
	writeBuffer = 32 << 10
	// streamFrom is the size in bytes from which a request's content is forwarded while it arrives.
	streamFrom = 64 << 10
	// readTimeout bounds the arrival of a request's head, and each wait for more of its content.
	readTimeout = 60 * time.Second
	// idleTimeout bounds the wait for the next request of a connection.
	idleTimeout = 75 * time.Second
)

// NewServer makes the HTTP server of a door. Writes are bounded by the listener (internal/listen).
func NewServer(handler fasthttp.RequestHandler, log zerolog.Logger) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:               handler,
		Name:                  CacheName,
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		NoDefaultDate:         true, // a page has its own (date.go)
		ReadBufferSize:        maxHead,
		WriteBufferSize:       writeBuffer,
		ReadTimeout:           readTimeout,
		IdleTimeout:           idleTimeout,
		MaxRequestBodySize:    streamFrom,
		StreamRequestBody:     true,
		CloseOnShutdown:       true,
		// A form is the backend's to parse, not this server's.
		DisablePreParseMultipartForm: true,
		Logger:                       serverLog{log},
	}
}

// serverLog takes what the HTTP server has to say: bad requests and broken connections, which are the clients' doing.
type serverLog struct{ log zerolog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	l.log.Debug().Msg(fmt.Sprintf(format, args...))
}
