package demo

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

const (
	// userCookie names the visitor. A real site's would be a session that cannot be made up.
	userCookie = "demo_user"
	// maxForm bounds a form's body in bytes.
	maxForm = 16 << 10
)

// user is the visitor's name, "" for one who is not logged in.
func (v *visit) user() string {
	c, err := v.r.Cookie(userCookie)
	if err != nil {
		return ""
	}
	name, err := url.QueryUnescape(c.Value)
	if err != nil {
		return ""
	}
	return name
}

func (v *visit) account() {
	v.set("Cache-Control", "private")
	v.set("Vary", "Cookie")
	v.html(http.StatusOK, "account", v.user())
}

func (v *visit) login() {
	if !v.form() {
		return
	}
	name := strings.TrimSpace(v.r.PostForm.Get("name"))
	if name == "" {
		name = "Nobody"
	}
	v.setUser(&http.Cookie{Value: url.QueryEscape(name)})
}

func (v *visit) logout() { v.setUser(&http.Cookie{MaxAge: -1}) }

// setUser sends the visitor back to the account page with a cookie that only goes there.
func (v *visit) setUser(c *http.Cookie) {
	c.Name, c.Path, c.HttpOnly, c.SameSite = userCookie, "/account", true, http.SameSiteLaxMode
	http.SetCookie(v.w, c)
	v.set("Cache-Control", "no-store")
	v.toAccount()
}

func (v *visit) toAccount() {
	v.set("Location", "/account")
	v.plain(http.StatusSeeOther)
}

func (v *visit) guestbook() { v.html(http.StatusOK, "guestbook", nil) }

// entry is what a visitor writes into the guest book.
type entry struct{ Name, Text string }

// sign answers a POST with what came in.
func (v *visit) sign() {
	if !v.form() {
		return
	}
	v.set("Cache-Control", "no-store")
	v.html(http.StatusOK, "thanks", entry{Name: v.r.PostForm.Get("name"), Text: v.r.PostForm.Get("text")})
}

// form reads the request's form, and answers by itself if it cannot.
func (v *visit) form() bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err := v.r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &tooLarge):
		v.plain(http.StatusRequestEntityTooLarge)
	default:
		v.plain(http.StatusBadRequest)
	}
	return false
}
