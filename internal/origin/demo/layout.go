package demo

import (
	"bytes"
	"embed"
	"html/template"
)

const htmlType = "text/html; charset=utf-8"

//go:embed pages
var pages embed.FS

// layouts are the pages' templates by name: layout.html with the page's own parts. A page of a given size is its own.
var layouts = parseLayouts("home", "missing", "shop", "product", "search", "fresh", "redirect", "flaky", "failed",
	"cookie", "account", "guestbook", "thanks", "gzip")

func parseLayouts(names ...string) map[string]*template.Template {
	byName := map[string]*template.Template{"sized": template.Must(template.ParseFS(pages, "pages/sized.html"))}
	for _, name := range names {
		byName[name] = template.Must(template.ParseFS(pages, "pages/layout.html", "pages/"+name+".html"))
	}
	return byName
}

// render makes a page. Its template sees the visit and data.
func (v *visit) render(name string, data any) []byte {
	var b bytes.Buffer
	err := layouts[name].Execute(&b, struct {
		Visit *visit
		Data  any
	}{v, data})
	if err != nil {
		panic(err) // the templates are part of the program, and each is rendered by a test
	}
	return b.Bytes()
}

// html answers with a page.
func (v *visit) html(status int, name string, data any) {
	v.write(status, htmlType, v.render(name, data))
}
