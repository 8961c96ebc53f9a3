package realproc

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// getTimeout bounds a request: the slow pages of a site under test on a busy machine take a part of it.
const getTimeout = time.Minute

// Get returns the body that a client without any coding is given for a URL, over a connection of its own, whatever the
// status.
func Get(tb testing.TB, url string) string {
	tb.Helper()
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: getTimeout}
	resp, err := client.Get(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
