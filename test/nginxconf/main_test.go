// Package nginxconf_test starts each nginx configuration that ships, with a real nginx between a Go client, Debian's
// memcached and a recording filler, and holds what the configurations promise: which requests are answered from the
// cache, that all others reach the filler exactly as the client sent them, and that no state of the cache servers is
// ever an error for a client.
//
// The files are tested as they are but for their addresses and the level of nginx's error log: a copy of the folder has
// each replaced, and a test fails if one does not stand in its file exactly once.
package nginxconf_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
