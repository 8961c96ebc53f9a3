package edge

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// harness are the fields that public test suites for caches send with every request, to tell their requests apart and to
// get around their client's own cache. None of them may change what a cache does.
var harness = []string{
	"Pragma", "foo", "Cache-Control", "nothing-to-see-here", "Test-Id", "some-test", "Test-Name", "What does `a cache` do?",
	"Req-Num", "1", "Accept", "*/*", "Accept-Language", "*", "Sec-Fetch-Mode", "cors", "Accept-Encoding", "gzip, deflate",
}

// at is a date so many seconds after a scenario's begin.
func at(seconds int) string {
	return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC).Format(http.TimeFormat)
}

// What a single response says about its reuse: asked for again three seconds later, it is or is not used.
func TestRFCFreshness(t *testing.T) {
	const reused, not = true, false
	now := at(0)
	for name, row := range map[string]struct {
		reused bool
		status int
		fields []string
	}{
		"9111-5.2.2.1 max-age":                             {reused, 200, []string{"Cache-Control", "max-age=3600"}},
		"9111-5.2.2.1 max-age passed":                      {not, 200, []string{"Cache-Control", "max-age=2"}},
		"9111-5.2.2.1 max-age=0":                           {not, 200, []string{"Cache-Control", "max-age=0"}},
		"9111-5.2.2.1 max-age=0 goes before Expires":       {not, 200, []string{"Cache-Control", "max-age=0", "Expires", at(3600), "Date", now}},
		"9111-5.2.2.1 max-age goes before a past Expires":  {reused, 200, []string{"Cache-Control", "max-age=3600", "Expires", at(-7200), "Date", now}},
		"9111-5.2.2.1 max-age goes before an invalid one":  {reused, 200, []string{"Cache-Control", "max-age=3600", "Expires", "0", "Date", now}},
		"9111-1.2.2 2^31-1 seconds":                        {reused, 200, []string{"Cache-Control", "max-age=2147483647"}},
		"9111-1.2.2 2^31 seconds":                          {reused, 200, []string{"Cache-Control", "max-age=2147483648"}},
		"9111-1.2.2 more than 2^31 seconds":                {reused, 200, []string{"Cache-Control", "max-age=99999999999"}},
		"9111-1.2.2 more than 2^64 seconds":                {reused, 200, []string{"Cache-Control", "max-age=99999999999999999999999999"}},
		"9111-1.2.2 leading zeros":                         {reused, 200, []string{"Cache-Control", "max-age=003600"}},
		"9111-1.2.2 a negative number":                     {not, 200, []string{"Cache-Control", "max-age=-3600"}},
		"9111-1.2.2 letters before":                        {not, 200, []string{"Cache-Control", "max-age=a3600"}},
		"9111-1.2.2 letters behind":                        {not, 200, []string{"Cache-Control", "max-age=3600a"}},
		"9111-1.2.2 a fraction":                            {not, 200, []string{"Cache-Control", "max-age=3600.0"}},
		"9111-5.2 without regard to case":                  {reused, 200, []string{"Cache-Control", "MaX-aGe=3600"}},
		"9111-5.2 quoted":                                  {reused, 200, []string{"Cache-Control", `max-age="3600"`}},
		"9111-5.2 in other quotes":                         {not, 200, []string{"Cache-Control", "max-age='3600'"}},
		"9111-5.2 white space before the sign":             {not, 200, []string{"Cache-Control", "max-age =3600"}},
		"9111-5.2 white space behind the sign":             {not, 200, []string{"Cache-Control", "max-age= 3600"}},
		"9111-5.2 in another's quoted argument":            {not, 200, []string{"Cache-Control", `extension="max-age=3600", max-age=1`}},
		"9111-5.2 in another's, behind":                    {not, 200, []string{"Cache-Control", `max-age=1, extension="max-age=3600"`}},
		"9111-5.2 an escaped quote in another's":           {not, 200, []string{"Cache-Control", `extension="a\", max-age=3600, b=\"", max-age=1`}},
		"9111-5.2.3 an extension":                          {reused, 200, []string{"Cache-Control", "foobar, max-age=3600"}},
		"9111-5.2.3 an extension with an argument":         {reused, 200, []string{"Cache-Control", `foo="a, no-store", max-age=3600`}},
		"9111-5.2 empty members":                           {reused, 200, []string{"Cache-Control", ",, max-age=3600,,"}},
		"9111-4.2.1 two that differ":                       {not, 200, []string{"Cache-Control", "max-age=1800, max-age=1"}},
		"9111-4.2.1 two that differ on two lines":          {not, 200, []string{"Cache-Control", "max-age=1", "Cache-Control", "max-age=1800"}},
		"9111-4.2.1 two alike":                             {reused, 200, []string{"Cache-Control", "max-age=1800", "Cache-Control", "max-age=1800"}},
		"9111-5.2.2.10 s-maxage":                           {reused, 200, []string{"Cache-Control", "s-maxage=3600"}},
		"9111-5.2.2.10 shorter than max-age":               {not, 200, []string{"Cache-Control", "max-age=3600, s-maxage=1"}},
		"9111-5.2.2.10 shorter than max-age, before":       {not, 200, []string{"Cache-Control", "s-maxage=1, max-age=3600"}},
		"9111-5.2.2.10 shorter than max-age, another line": {not, 200, []string{"Cache-Control", "max-age=3600", "Cache-Control", "s-maxage=1"}},
		"9111-5.2.2.10 longer than max-age":                {reused, 200, []string{"Cache-Control", "max-age=1, s-maxage=3600"}},
		"9111-5.2.2.10 longer than max-age=0 and Expires":  {reused, 200, []string{"Cache-Control", "max-age=0, s-maxage=3600", "Expires", at(-10)}},
		"9111-5.2.2.5 no-store":                            {not, 200, []string{"Cache-Control", "No-StOrE, max-age=3600", "Expires", at(3600)}},
		"9111-5.2.2.7 private":                             {not, 200, []string{"Cache-Control", "PRIVATE, max-age=3600"}},
		"9111-5.2.2.4 no-cache":                            {not, 200, []string{"Cache-Control", "max-age=3600, No-CaChE", "Expires", at(3600), "Date", now}},
		"9111-5.2.2.3 must-understand what is understood":  {reused, 200, []string{"Cache-Control", "max-age=3600, no-store, must-understand"}},
		"9111-5.2.2.3 must-understand what is not":         {not, 599, []string{"Cache-Control", "max-age=3600, no-store, must-understand"}},
		"9111-5.2.2.3 must-understand without no-store":    {not, 599, []string{"Cache-Control", "max-age=3600, must-understand"}},
		"9111-5.1 Age beyond max-age":                      {not, 200, []string{"Cache-Control", "max-age=3600", "Age", "7200", "Date", now}},
		"9111-5.1 no number is ignored":                    {reused, 200, []string{"Cache-Control", "max-age=3600", "Age", "abc", "Date", now}},
		"9111-5.1 a negative one is ignored":               {reused, 200, []string{"Cache-Control", "max-age=3600", "Age", "-7200", "Date", now}},
		"9111-5.1 a fraction is ignored":                   {reused, 200, []string{"Cache-Control", "max-age=3600", "Age", "7200.0", "Date", now}},
		"9111-5.1 a very old one":                          {not, 200, []string{"Cache-Control", "max-age=3600", "Age", "2147483647", "Date", now}},
		"9111-5.1 a still older one":                       {not, 200, []string{"Cache-Control", "max-age=3600", "Age", "2147483649", "Date", now}},
		"9111-5.1 the first of a list, old":                {not, 200, []string{"Cache-Control", "max-age=3600", "Age", "7200, 0", "Date", now}},
		"9111-5.1 the first of a list, new":                {reused, 200, []string{"Cache-Control", "max-age=3600", "Age", "0, 7200", "Date", now}},
		"9111-5.1 the first of two lines, old":             {not, 200, []string{"Cache-Control", "max-age=3600", "Age", "7200", "Age", "0", "Date", now}},
		"9111-5.1 the first of two lines, new":             {reused, 200, []string{"Cache-Control", "max-age=3600", "Age", "0", "Age", "7200", "Date", now}},
		"9111-5.1 two alike":                               {reused, 200, []string{"Cache-Control", "max-age=10000", "Age", "3600", "Age", "3600", "Date", now}},
		"9111-4.2.3 an old Date":                           {not, 200, []string{"Cache-Control", "max-age=3600", "Date", at(-7200)}},
		"9111-4.2.3 a Date in the future":                  {reused, 200, []string{"Cache-Control", "max-age=3600", "Date", at(7200)}},
		"9111-4.2.3 an invalid Date":                       {reused, 200, []string{"Cache-Control", "max-age=3600", "Date", "foo"}},
		"9111-5.3 Expires":                                 {reused, 200, []string{"Expires", at(30 * 86400), "Date", now}},
		"9111-5.3 past":                                    {not, 200, []string{"Expires", at(-30 * 86400), "Date", now}},
		"9111-5.3 the present":                             {not, 200, []string{"Expires", now, "Date", now}},
		"9111-5.3 before a fast Date":                      {not, 200, []string{"Expires", at(300), "Date", at(400)}},
		"9111-5.3 with an invalid Date":                    {reused, 200, []string{"Expires", at(10), "Date", "foo"}},
		"9111-5.3 Age beyond it, Date slow":                {not, 200, []string{"Expires", at(10), "Date", at(-10), "Age", "25"}},
		"9111-5.3 Age beyond it, Date fast":                {not, 200, []string{"Expires", at(20), "Date", at(10), "Age", "15"}},
		"9111-5.3 zero":                                    {not, 200, []string{"Expires", "0", "Date", now}},
		"9111-5.3 2^31 seconds after 1970":                 {reused, 200, []string{"Expires", "Tue, 19 Jan 2038 14:14:08 GMT", "Date", now}},
		"9111-5.3 in 260 years":                            {reused, 200, []string{"Expires", "Sun, 21 Nov 2286 04:46:39 GMT", "Date", now}},
		"9111-5.3 at the end of all dates":                 {reused, 200, []string{"Expires", "Fri, 31 Dec 9999 23:59:59 GMT", "Date", now}},
		"9110-5.6.7 RFC 850's form":                        {reused, 200, []string{"Expires", "Thursday, 18-Aug-50 02:01:18 GMT", "Date", now}},
		"9110-5.6.7 asctime's form":                        {reused, 200, []string{"Expires", "Thu Aug  8 02:01:18 2050", "Date", now}},
		"9111-5.3 another case of the day":                 {reused, 200, []string{"Expires", "THU, 18 Aug 2050 02:01:18 GMT", "Date", now}},
		"9111-5.3 another case of the month":               {reused, 200, []string{"Expires", "Thu, 18 AUG 2050 02:01:18 GMT", "Date", now}},
		"9111-5.3 another case of the zone":                {reused, 200, []string{"Expires", "Thu, 18 Aug 2050 02:01:18 gMT", "Date", now}},
		"9111-5.3 UTC":                                     {not, 200, []string{"Expires", "Thu, 18 Aug 2050 02:01:18 UTC", "Date", now}},
		"9111-5.3 another zone":                            {not, 200, []string{"Expires", "Thu, 18 Aug 2050 02:01:18 AEST", "Date", now}},
		"9111-5.3 a year of two digits":                    {not, 200, []string{"Expires", "Thu, 18 Aug 50 02:01:18 GMT", "Date", now}},
		"9111-5.3 no comma":                                {not, 200, []string{"Expires", "Thu 18 Aug 2050 02:01:18 GMT", "Date", now}},
		"9111-5.3 two spaces":                              {not, 200, []string{"Expires", "Thu, 18  Aug  2050 02:01:18 GMT", "Date", now}},
		"9111-5.3 dashes":                                  {not, 200, []string{"Expires", "Thu, 18-Aug-2050 02:01:18 GMT", "Date", now}},
		"9111-5.3 periods":                                 {not, 200, []string{"Expires", "Thu, 18 Aug 2050 02.01.18 GMT", "Date", now}},
		"9111-5.3 an hour of one digit":                    {not, 200, []string{"Expires", "Thu, 18 Aug 2050 2:01:18 GMT", "Date", now}},
		"9111-5.3 two that differ":                         {not, 200, []string{"Expires", at(3600), "Expires", at(3601), "Date", now}},
		"9111-5.3 an empty one":                            {not, 200, []string{"Expires", "", "Date", now}},
		"9111-4.2.2 changed within a day":                  {reused, 200, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 changed just now":                      {not, 200, []string{"Last-Modified", at(-5), "Date", now}},
		"9111-4.2.2 an attachment":                         {reused, 200, []string{"Last-Modified", at(-86400), "Date", now, "Content-Disposition", "attachment; filename=a.txt"}},
		"9111-4.2.2 203":                                   {reused, 203, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 204":                                   {reused, 204, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 404":                                   {reused, 404, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 405":                                   {reused, 405, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 410":                                   {reused, 410, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 414":                                   {reused, 414, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 501":                                   {reused, 501, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 201":                               {not, 201, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 202":                               {not, 202, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 403":                               {not, 403, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 502":                               {not, 502, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 503":                               {not, 503, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 504":                               {not, 504, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-4.2.2 not 599":                               {not, 599, []string{"Last-Modified", at(-86400), "Date", now}},
		"9111-5.2.2.9 public 599":                          {reused, 599, []string{"Last-Modified", at(-86400), "Date", now, "Cache-Control", "public"}},
		"9111-5.4 Pragma of a response that says max-age":  {reused, 200, []string{"Cache-Control", "max-age=3600", "Pragma", "no-cache"}},
		"9111-5.4 another Pragma":                          {reused, 200, []string{"Cache-Control", "max-age=3600", "Pragma", "unknown"}},
		"9111-3.1 an attachment":                           {reused, 200, []string{"Cache-Control", "max-age=3600", "Content-Disposition", "attachment; filename=a.txt"}},
		"9110-8.4 a coding that this cache does not know":  {reused, 200, []string{"Cache-Control", "max-age=3600", "Content-Encoding", "abc"}},
		"9213-2.2 CDN-Cache-Control":                       {reused, 200, []string{"Cdn-Cache-Control", "max-age=3600"}},
		"9213-2.2 of 2^31 seconds":                         {reused, 200, []string{"Cdn-Cache-Control", "max-age=2147483648"}},
		"9213-2.2 of more":                                 {reused, 200, []string{"Cdn-Cache-Control", "max-age=99999999999"}},
		"9213-2.2 Age beyond it":                           {not, 200, []string{"Cdn-Cache-Control", "max-age=3600", "Age", "7200", "Date", now}},
		"9213-2.2 of none":                                 {not, 200, []string{"Cdn-Cache-Control", "max-age=0"}},
		"9213-2.2 an extension":                            {reused, 200, []string{"Cdn-Cache-Control", "foobar, max-age=3600"}},
		"9213-2.2 above a past Expires":                    {reused, 200, []string{"Cdn-Cache-Control", "max-age=3600", "Expires", at(-10000), "Date", now}},
		"9213-2.2 above an invalid Expires":                {reused, 200, []string{"Cdn-Cache-Control", "max-age=3600", "Expires", "0", "Date", now}},
		"9213-2.2 none, above a future Expires":            {not, 200, []string{"Cdn-Cache-Control", "max-age=0", "Expires", at(10000), "Date", now}},
		"9213-2.2 longer than Cache-Control":               {reused, 200, []string{"Cache-Control", "max-age=1", "Cdn-Cache-Control", "max-age=3600"}},
		"9213-2.2 shorter than Cache-Control":              {not, 200, []string{"Cache-Control", "max-age=3600", "Cdn-Cache-Control", "max-age=1"}},
		"9213-2.2 private":                                 {not, 200, []string{"Cache-Control", "max-age=3600", "Cdn-Cache-Control", "private", "Expires", at(3600)}},
		"9213-2.2 no-cache":                                {not, 200, []string{"Cache-Control", "max-age=3600", "Cdn-Cache-Control", "no-cache", "Expires", at(3600)}},
		"9213-2.2 no-store":                                {not, 200, []string{"Cache-Control", "max-age=3600", "Cdn-Cache-Control", "no-store", "Expires", at(3600)}},
		"9213-2.2 against no-store":                        {reused, 200, []string{"Cache-Control", "no-store", "Cdn-Cache-Control", "max-age=3600"}},
		"9213-2.1 one that cannot be parsed is ignored":    {not, 200, []string{"Cache-Control", "no-store", "Cdn-Cache-Control", "max-age=10000, &&&&&"}},
		"9213-2.1 one of a wrong type is ignored":          {not, 200, []string{"Cache-Control", "no-store", "Cdn-Cache-Control", `max-age="10000"`}},
		"9213-2.1 white space around the sign is an error": {not, 200, []string{"Cache-Control", "max-age=1", "Cdn-Cache-Control", "max-age =100"}},
		"9213-2.1 capitals are an error":                   {not, 200, []string{"Cache-Control", "max-age=1", "Cdn-Cache-Control", "MaX-aGe=100"}},
		"9110-12.5.5 Vary: *":                              {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", "*"}},
		"9110-12.5.5 Vary: *, *":                           {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", "*, *"}},
		"9110-12.5.5 two lines of *":                       {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", "*", "Vary", "*"}},
		"9110-12.5.5 an empty member and *":                {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", ", *"}},
		"9110-12.5.5 an empty line and *":                  {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", "", "Vary", "*"}},
		"9110-12.5.5 * and a field":                        {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", "*, Foo"}},
		"9110-12.5.5 a field and *":                        {not, 200, []string{"Cache-Control", "max-age=3600", "Vary", "Foo, *"}},
		"9110-12.5.5 an empty Vary":                        {reused, 200, []string{"Cache-Control", "max-age=3600", "Vary", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			steps := []step{{status: row.status, reply: row.fields}, {after: 3 * time.Second, cached: row.reused, status: row.status, want: row.status}}
			synctest.Test(t, func(t *testing.T) { play(t, steps, harness...) })
		})
	}
}

// Any status is kept for as long as it says, and asked for again after that (RFC 9111, section 3).
func TestRFCStatus(t *testing.T) {
	for _, status := range []int{200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 418, 451, 499, 500, 501, 502, 503, 504, 505, 599, 600, 799, 999} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			fresh := []string{"Cache-Control", "max-age=100000", "Expires", at(100000), "Last-Modified", at(0), "Date", at(0), "X-A", "1"}
			stale := []string{"Expires", at(-5000), "Last-Modified", at(-100000), "Date", at(0)}
			synctest.Test(t, func(t *testing.T) {
				play(t, []step{
					{status: status, reply: fresh},
					{after: time.Second, cached: true, want: status, has: []string{"X-A: 1", "Age: 1"}},
					{method: "HEAD", cached: true, want: status, has: []string{"X-A: 1"}},
					{target: "/stale", status: status, reply: stale},
					{target: "/stale", reply: fresh, want: 200},
				}, harness...)
			})
		})
	}
}

// Which fields of a response are kept with it (RFC 9111, section 3.1), and which of a 304 replace them (section 3.2).
func TestRFCFields(t *testing.T) {
	for name, row := range map[string]struct{ first, second, kept string }{
		"Test-Header":               {"a", "b", "b"},
		"X-Test-Header":             {"a", "b", "b"},
		"Content-Foo":               {"a", "b", "b"},
		"Cache-Control":             {"max-age=1", "max-age=3600", "max-age=3600"},
		"Content-Encoding":          {"abc", "def", "abc"}, // tells how the stored body is to be read
		"Content-Location":          {"/foo", "/bar", "/bar"},
		"Content-Md5":               {"rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g==", "N7UdGUp1E+RbVvZSTy1R8g=="},
		"Content-Security-Policy":   {"default-src 'self'", "default-src 'none'", "default-src 'none'"},
		"Content-Type":              {"text/plain", "text/plain;charset=utf-8", "text/plain;charset=utf-8"},
		"Clear-Site-Data":           {`"cache"`, `"cookies"`, `"cookies"`},
		"Expires":                   {at(2), at(86400), at(86400)},
		"Public-Key-Pins":           {"a", "b", "b"},
		"Set-Cookie2":               {"a=b", "a=c", "a=c"},
		"X-Frame-Options":           {"deny", "sameorigin", "sameorigin"},
		"X-Xss-Protection":          {"1", "1; mode=block", "1; mode=block"},
		"Strict-Transport-Security": {"max-age=1", "max-age=2", "max-age=2"},
		"Www-Authenticate":          {"a", "b", "b"},
	} {
		t.Run("9111-3.1 kept: "+name, func(t *testing.T) {
			lived := []string{"Cache-Control", "max-age=2"}
			if name == "Cache-Control" || name == "Expires" {
				lived = nil
			}
			validator := []string{"Etag", `"1"`}
			first := append(append([]string{name, row.first}, lived...), validator...)
			second := append(append([]string{name, row.second}, lived...), validator...)
			synctest.Test(t, func(t *testing.T) {
				play(t, []step{
					{reply: first, has: []string{name + ": " + row.first}},
					{cached: true, has: []string{name + ": " + row.first}},
					{after: 3 * time.Second, status: 304, reply: second, asked: []string{`If-None-Match: "1"`}, want: 200, content: "body 1", has: []string{name + ": " + row.kept}},
					{cached: true, content: "body 1", has: []string{name + ": " + row.kept}},
				}, harness...)
			})
		})
	}
}

// The longer exchanges: requests' own directives, variants, conditions, invalidation, failure.
func TestRFCExchanges(t *testing.T) {
	const s = time.Second
	fresh := []string{"Cache-Control", "max-age=5000", "Last-Modified", at(-3000), "Date", at(0)}
	with := func(fields ...string) []string { return append(fields, fresh...) }
	tagged := func(tag string) []string { return []string{"Cache-Control", "max-age=2", "Etag", tag} }
	sends := func(fields ...string) []string { return fields }
	all := map[string][]step{
		"9111-5.2.2.5 an older response after no-store": {{reply: with("A", "1")}, {send: sends("Cache-Control", "no-cache"), reply: sends("Cache-Control", "no-store", "A", "2")}},
		"9111-5.2.1.1 max-age=0":                        {{reply: fresh}, {after: 3 * s, send: sends("Cache-Control", "max-age=0")}},
		"9111-5.2.1.1 max-age=1":                        {{reply: fresh}, {after: 3 * s, send: sends("Cache-Control", "max-age=1")}},
		"9111-5.2.1.1 with Age":                         {{reply: sends("Cache-Control", "max-age=3600", "Age", "1800")}, {send: sends("Cache-Control", "max-age=600")}},
		"9111-5.2.1.1 that is enough":                   {{reply: fresh}, {after: 3 * s, send: sends("Cache-Control", "max-age=600"), cached: true}},
		"9111-5.2.1.2 max-stale":                        {{reply: sends("Cache-Control", "max-age=1")}, {after: 3 * s, send: sends("Cache-Control", "max-stale=1000"), cached: true}},
		"9111-5.2.1.2 not against must-revalidate":      {{reply: sends("Cache-Control", "max-age=1, must-revalidate")}, {after: 3 * s, send: sends("Cache-Control", "max-stale=1000")}},
		"9111-5.2.1.3 min-fresh":                        {{reply: sends("Cache-Control", "max-age=1500")}, {send: sends("Cache-Control", "min-fresh=2000")}},
		"9111-5.2.1.3 with Age":                         {{reply: sends("Cache-Control", "max-age=1500", "Age", "1000")}, {send: sends("Cache-Control", "min-fresh=1000")}},
		"9111-5.2.1.4 validates by a date":              {{reply: fresh}, {send: sends("Cache-Control", "no-cache"), status: 304, reply: fresh, asked: []string{"If-Modified-Since: " + at(-3000)}, want: 200, content: "body 1"}},
		"9111-5.2.1.4 validates by an unquoted tag":     {{reply: tagged("abc")}, {send: sends("Cache-Control", "no-cache"), status: 304, reply: tagged("abc"), asked: []string{"If-None-Match: abc"}, want: 200, content: "body 1"}},
		"9111-5.2.1.5 no-store":                         {{reply: fresh}, {send: sends("Cache-Control", "no-store")}},
		"9111-5.2.1.7 only-if-cached":                   {{send: sends("Cache-Control", "only-if-cached"), cached: true, want: 504}},
		"9111-5.4 another Pragma":                       {{reply: fresh}, {send: sends("Pragma", "unrecognised-extension"), cached: true}},

		"9111-4.1 the stored request had no field":      {{reply: with("Vary", "Foo")}, {send: sends("Foo", "1")}},
		"9111-4.1 the presented request has no field":   {{send: sends("Foo", "1"), reply: with("Vary", "Foo")}, {}},
		"9111-4.1 two fields":                           {{send: sends("Foo", "1", "Bar", "abc"), reply: with("Vary", "Foo, Bar")}, {send: sends("Foo", "1", "Bar", "abc"), cached: true}, {send: sends("Foo", "2", "Bar", "abc")}, {}},
		"9111-4.1 two fields on two lines":              {{send: sends("Foo", "1", "Bar", "abc"), reply: with("Vary", "Foo", "Vary", "Bar")}, {send: sends("Foo", "1", "Bar", "abc"), cached: true}, {send: sends("Foo", "1", "Bar", "abd")}},
		"9111-4.1 three fields in any order":            {{send: sends("Foo", "1", "Bar", "abc", "Baz", "789"), reply: with("Vary", "Foo, Bar, Baz")}, {send: sends("Baz", "789", "Foo", "1", "Bar", "abc"), cached: true}, {send: sends("Foo", "1", "Baz", "789", "Bar", "abcde")}},
		"9111-4.1 three fields, one in neither request": {{send: sends("Foo", "1", "Baz", "789"), reply: with("Vary", "Foo, Bar, Baz")}, {send: sends("Foo", "1", "Baz", "789"), cached: true}},
		"9111-4.1 a value is not a list's other half":   {{send: sends("Foo", "1", "Bar", "2"), reply: with("Vary", "Foo, Bar")}, {send: sends("Foo", "1,2")}, {send: sends("Bar", "1,2")}, {send: sends("Foo", "2", "Bar", "1")}},
		"9111-4.1 values differ by case":                {{send: sends("Foo", "a"), reply: with("Vary", "Foo")}, {send: sends("Foo", "A")}},
		"9111-4.1 an empty value and none":              {{send: sends("Foo", ""), reply: with("Vary", "Foo")}, {cached: true}},
		"9111-4.1 languages in another order":           {{send: sends("Accept-Language", "en, de"), reply: with("Vary", "Accept-Language")}, {send: sends("Accept-Language", "de, en"), cached: true}},
		"9111-4.1 languages in another case":            {{send: sends("Accept-Language", "en, de"), reply: with("Vary", "Accept-Language")}, {send: sends("Accept-Language", "eN, De"), cached: true}},
		"9111-4.1 languages with white space":           {{send: sends("Accept-Language", "en, de"), reply: with("Vary", "Accept-Language")}, {send: sends("Accept-Language", " en ,   de"), cached: true}},
		"9111-4.1 languages with weights":               {{send: sends("Accept-Language", "de;q=0.5, en"), reply: with("Vary", "Accept-Language")}, {send: sends("Accept-Language", "en;q=1.0,de ; Q=0.500"), cached: true}, {send: sends("Accept-Language", "en;q=0.5, de")}, {send: sends("Accept-Language", "en, de")}},

		"9110-13.1.2 a weak tag":                          {{reply: with("Etag", `W/"abcdef"`)}, {send: sends("If-None-Match", `W/"abcdef"`), cached: true, want: 304, has: []string{`Etag: W/"abcdef"`}}},
		"9110-13.1.2 the first of several":                {{reply: with("Etag", `"abcdef"`)}, {send: sends("If-None-Match", `"abcdef", "1234", "5678"`), cached: true, want: 304}},
		"9110-13.1.2 the last of several lines":           {{reply: with("Etag", `"abcdef"`)}, {send: sends("If-None-Match", `"1234"`, "If-None-Match", `"abcdef"`), cached: true, want: 304}},
		"9110-13.1.2 any":                                 {{reply: with("Etag", `"abcdef"`)}, {send: sends("If-None-Match", "*"), cached: true, want: 304}},
		"9110-13.1.2 a tag with obs-text":                 {{reply: with("Etag", "\"abcdef\xfc\"")}, {send: sends("If-None-Match", "\"abcdef\xfc\""), cached: true, want: 304, has: []string{"Etag: \"abcdef\xfc\""}}},
		"9110-13.1.2 a tag with a comma":                  {{reply: with("Etag", `"a,b"`)}, {send: sends("If-None-Match", `"x", "a,b"`), cached: true, want: 304}, {send: sends("If-None-Match", `"a"`), cached: true}},
		"9110-13.1.2 before a date that fits":             {{reply: with("Etag", `"abcdef"`)}, {send: sends("If-None-Match", `"other"`, "If-Modified-Since", at(-3000)), cached: true}},
		"9110-13.1.2 before a date that does not":         {{reply: with("Etag", `"abcdef"`)}, {send: sends("If-None-Match", `"abcdef"`, "If-Modified-Since", at(-9000)), cached: true, want: 304}},
		"9110-13.1.3 an equal date":                       {{reply: fresh}, {after: 3 * s, send: sends("If-Modified-Since", at(-3000)), cached: true, want: 304, has: []string{"Last-Modified: " + at(-3000)}}},
		"9110-13.1.3 a later date":                        {{reply: fresh}, {after: 3 * s, send: sends("If-Modified-Since", at(-2000)), cached: true, want: 304}},
		"9110-13.1.3 an earlier date":                     {{reply: fresh}, {after: 3 * s, send: sends("If-Modified-Since", at(-4000)), cached: true}},
		"9110-13.1.3 in RFC 850's form":                   {{reply: fresh}, {send: sends("If-Modified-Since", "Wednesday, 31-Dec-25 23:10:00 GMT"), cached: true, want: 304}},
		"9110-13.1.3 one that is none":                    {{reply: fresh}, {send: sends("If-Modified-Since", "yesterday"), cached: true}},
		"9111-4.3.2 a date, and only Date to compare":     {{reply: sends("Cache-Control", "max-age=5000", "Date", at(-60))}, {send: sends("If-Modified-Since", at(-60)), cached: true, want: 304}, {send: sends("If-Modified-Since", at(-61)), cached: true}},
		"9111-4.3.2 a date, and only the time of arrival": {{reply: sends("Cache-Control", "max-age=5000")}, {after: 9 * s, send: sends("If-Modified-Since", at(1)), cached: true, want: 304}, {send: sends("If-Modified-Since", at(-1)), cached: true}},
		"9111-4.3.2 a date, after validation":             {{reply: sends("Cache-Control", "max-age=2", "Last-Modified", at(-3000))}, {after: 3 * s, send: sends("If-Modified-Since", at(-3000)), status: 304, asked: []string{"If-Modified-Since: " + at(-3000)}, want: 304}},
		"9111-4.3.1 a strong tag":                         {{reply: tagged(`"abcdef"`)}, {after: 3 * s, status: 304, reply: tagged(`"abcdef"`), asked: []string{`If-None-Match: "abcdef"`}, want: 200, content: "body 1"}},
		"9111-4.3.1 a weak tag":                           {{reply: tagged(`W/"abcdef"`)}, {after: 3 * s, status: 304, reply: tagged(`W/"abcdef"`), asked: []string{`If-None-Match: W/"abcdef"`}, want: 200, content: "body 1"}},
		"9111-4.3.1 the client's tag is not the page's":   {{reply: tagged(`"1"`)}, {after: 3 * s, send: sends("If-None-Match", `"0"`), status: 304, reply: tagged(`"1"`), asked: []string{`If-None-Match: "1"`}, want: 200, content: "body 1"}},
		"9111-4.1 another variant's tag is not sent":      {{send: sends("Abc", "123"), reply: with("Vary", "Abc", "Etag", `"1"`)}, {after: 3 * s, send: sends("Abc", "456"), asked: []string{"Abc: 456", "!If-None-Match"}}},
		"9111-4.3.4 what a 304 leaves out stays":          {{reply: sends("Cache-Control", "max-age=2", "Last-Modified", at(-3000), "Test-Header", "a")}, {after: 3 * s, status: 304, reply: sends("Last-Modified", at(-3000)), want: 200, has: []string{"Test-Header: a"}}},

		"9111-5.2.2.2 fresh, then validated":        {{reply: sends("Cache-Control", "max-age=2, must-revalidate", "Etag", `"1"`)}, {cached: true}, {after: 3 * s, status: 304, asked: []string{`If-None-Match: "1"`}, want: 200, content: "body 1"}},
		"9111-5.2.2.2 the backend is away":          {{reply: sends("Cache-Control", "max-age=2, must-revalidate", "Etag", `"1"`)}, {after: 3 * s, status: -2, want: 504}, {method: "HEAD", status: -2, want: 504}, {status: 304, want: 200, content: "body 1"}},
		"9111-5.2.2.2 it is away, to a variant":     {{send: sends("Foo", "1"), reply: sends("Cache-Control", "max-age=2, must-revalidate", "Etag", `"1"`, "Vary", "Foo")}, {after: 3 * s, send: sends("Foo", "1"), status: -2, want: 504}},
		"9111-5.2.2.2 502 is more applicable":       {{reply: sends("Cache-Control", "max-age=2, must-revalidate", "Etag", `"1"`)}, {after: 3 * s, status: -1, want: 502}},
		"9111-5.2.2.2 its own failure goes on":      {{reply: sends("Cache-Control", "max-age=2, must-revalidate", "Etag", `"1"`)}, {after: 3 * s, status: 503}},
		"9111-5.2.2.2 nothing to be validated":      {{status: -2, want: 502}},
		"9111-5.2.2.8 the backend is away":          {{reply: sends("Cache-Control", "max-age=2, proxy-revalidate", "Etag", `"1"`)}, {after: 3 * s, status: -2, want: 504}},
		"9111-5.2.2.10 the backend is away":         {{reply: sends("Cache-Control", "s-maxage=2", "Etag", `"1"`)}, {after: 3 * s, status: -2, want: 504}},
		"9111-5.2.2.4 the backend is away":          {{reply: sends("Cache-Control", "no-cache", "Etag", `"1"`)}, {status: -2, want: 502}},
		"9111-4.2.4 not with no-cache":              {{reply: sends("Cache-Control", "max-age=2, no-cache", "Etag", `"1"`)}, {after: 3 * s, status: -1, want: 502}},
		"5861-3 after the window":                   {{reply: sends("Cache-Control", "max-age=1, stale-while-revalidate=4", "Etag", `"1"`)}, {after: 3 * s, behind: true, content: "body 1", reply: sends("Cache-Control", "no-cache", "Etag", `"2"`)}, {after: 3 * s, asked: []string{`If-None-Match: "2"`}}},
		"5861-4 a closed connection":                {{reply: sends("Cache-Control", "max-age=2, stale-if-error=60")}, {after: 3 * s, status: -1, want: 200, content: "body 1"}},
		"5861-4 503":                                {{reply: sends("Cache-Control", "max-age=2, stale-if-error=60")}, {after: 3 * s, status: 503, want: 200, content: "body 1"}},
		"5861-4 stale on arrival":                   {{reply: sends("Cache-Control", "max-age=0, stale-if-error=3600")}, {status: 500, want: 200, content: "body 1"}},
		"5861-4 too late":                           {{reply: sends("Cache-Control", "max-age=0, stale-if-error=1")}, {after: 3 * s, status: 500, want: 500}},
		"9111-4.4 PUT":                              {{reply: fresh}, {method: "PUT"}, {}},
		"9111-4.4 DELETE":                           {{reply: fresh}, {method: "DELETE", status: 204}, {}},
		"9111-4.4 a redirect after POST":            {{reply: fresh}, {method: "POST", status: 303, reply: sends("Location", "/a")}, {}},
		"9111-4.4 a POST that was refused":          {{reply: fresh}, {method: "POST", status: 403}, {cached: true}},
		"9111-4.4 Location in full":                 {{target: "/b", reply: fresh}, {method: "POST", reply: sends("Location", "http://site.example/b")}, {target: "/b"}},
		"9111-4.4 HEAD and TRACE do not":            {{reply: fresh}, {method: "HEAD", cached: true}, {method: "TRACE"}, {cached: true}},
		"9110-9.3.2 a HEAD writes through":          {{reply: sends("Cache-Control", "max-age=2", "Template-A", "1")}, {after: 3 * s, method: "HEAD", reply: sends("Cache-Control", "max-age=1000", "Template-A", "2")}, {cached: true, content: "body 1", has: []string{"Template-A: 2"}}},
		"9110-9.3.2 a HEAD that tells of a failure": {{reply: sends("Cache-Control", "max-age=2", "Template-A", "1")}, {after: 3 * s, method: "HEAD", status: 410, reply: sends("Cache-Control", "max-age=1000", "Template-A", "2"), want: 410}, {}},
		"9111-4 queries that differ":                {{target: "/a?test=1", reply: fresh}, {target: "/a?test=2", reply: fresh}, {target: "/a?test=1", cached: true, content: "body 1"}, {target: "/a"}},
		"9111-5.1 Age with Expires":                 {{reply: sends("Expires", at(30*86400), "Date", at(0), "Age", "30")}, {after: 3 * s, cached: true, has: []string{"Age: 33", "Date: " + at(0), "Expires: " + at(30*86400)}}},
		"9110-14.4 a part has the page's fields":    {{reply: with("A", "1"), body: "01234567890"}, {send: sends("Range", "bytes=0-1"), cached: true, want: 206, content: "01", has: []string{"A: 1", "Content-Range: bytes 0-1/11"}}},
	}
	for name, steps := range all {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { play(t, steps, harness...) }) })
	}
}
