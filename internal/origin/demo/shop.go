package demo

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Product is what the shop sells.
type Product struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Cents int    `json:"cents"`
	Text  string `json:"text"`
}

// Path is the product's page.
func (p *Product) Path() string { return fmt.Sprintf("/shop/%d", p.ID) }

// Price is the price in words.
func (p *Product) Price() string { return fmt.Sprintf("€ %d.%02d", p.Cents/100, p.Cents%100) }

// products are the shop's database. They are not changed.
var products = []Product{
	{1, "Sencha", 790, "Green tea from Shizuoka, steamed. Tastes of grass after rain."},
	{2, "Genmaicha", 640, "Green tea with roasted rice & a few popped grains."},
	{3, "Matcha", 2450, "Stone-ground green tea. A little goes a long way."},
	{4, "Long Jing", 1290, "Green tea from Hangzhou, roasted flat in the pan."},
	{5, "Bai Mu Dan", 1150, "White tea: two leaves and a bud, left to wither."},
	{6, "Tie Guan Yin", 1380, "Oolong from Anxi, \"Iron Goddess of Mercy\"."},
	{7, "Da Hong Pao", 1890, "Dark oolong from the cliffs of the Wuyi mountains."},
	{8, "Darjeeling <First Flush>", 1540, "The spring's first leaves, picked in March."},
	{9, "Assam", 690, "Black, malty, wants milk."},
	{10, "Keemun", 980, "Black tea from Qimen with a note of cocoa."},
	{11, "Pu-erh", 1720, "Ripened in a cake for ten years."},
	{12, "Rooibos", 520, "No tea at all, and no caffeine either."},
}

func (v *visit) shop() {
	if v.query() {
		v.html(http.StatusOK, "shop", products)
	}
}

func (v *visit) product(p *Product) {
	if v.query() {
		v.html(http.StatusOK, "product", p)
	}
}

// found is what a search gives.
type found struct {
	Query    string
	Products []Product
}

func (v *visit) search() {
	if !v.query() {
		return
	}
	f := found{Query: v.r.URL.Query().Get("q")}
	for _, p := range products {
		if words := strings.ToLower(f.Query); words != "" && strings.Contains(strings.ToLower(p.Name+" "+p.Text), words) {
			f.Products = append(f.Products, p)
		}
	}
	v.html(http.StatusOK, "search", f)
}

func (v *visit) json() {
	if !v.query() {
		return
	}
	body, err := json.MarshalIndent(struct {
		Rendered   time.Time `json:"rendered"`
		Renderings int64     `json:"renderings"`
		Products   []Product `json:"products"`
	}{v.at, v.Count, products}, "", "  ")
	if err != nil {
		panic(err) // plain data
	}
	v.set("Cache-Control", "max-age=30")
	v.write(http.StatusOK, "application/json", append(body, '\n'))
}

// rss is RSS 2.0 as far as the feed needs it.
type rss struct {
	XMLName xml.Name  `xml:"rss"`
	Version string    `xml:"version,attr"`
	Title   string    `xml:"channel>title"`
	Link    string    `xml:"channel>link"`
	About   string    `xml:"channel>description"`
	Built   string    `xml:"channel>lastBuildDate"`
	Items   []rssItem `xml:"channel>item"`
}

type rssItem struct {
	Title string `xml:"title"`
	Link  string `xml:"link"`
	About string `xml:"description"`
}

// feed links relative to the site, whose own name it cannot know: what the client calls it must not shape a shared
// page.
func (v *visit) feed() {
	channel := rss{Version: "2.0", Title: "The tea shop", Link: "/shop", About: v.Stamp(), Built: v.at.Format(time.RFC1123Z)}
	for _, p := range products {
		channel.Items = append(channel.Items, rssItem{Title: p.Name, Link: p.Path(), About: p.Text})
	}
	body, err := xml.MarshalIndent(channel, "", "  ")
	if err != nil {
		panic(err) // plain data
	}
	v.set("Cache-Control", "max-age=60, s-maxage=300")
	v.write(http.StatusOK, "application/rss+xml", append([]byte(xml.Header), append(body, '\n')...))
}

// style has a weak validator: the comment with the rendering's number changes, what browsers make of it does not.
func (v *visit) style() {
	sheet, err := pages.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	v.set("Content-Type", "text/css")
	v.set("Cache-Control", "max-age=300")
	v.set("Etag", `W/"style-1"`)
	body := append([]byte("/* "+v.Stamp()+" */\n"), sheet...)
	http.ServeContent(v.w, v.r, "", time.Time{}, bytes.NewReader(body))
}

// cup is a cup of tea with a number on it: the title, then the number.
const cup = `<svg xmlns="http://www.w3.org/2000/svg" width="160" height="120" viewBox="0 0 160 120" role="img">
<title>%s</title>
<path d="M25 40h90v35a30 30 0 0 1-30 30H55a30 30 0 0 1-30-30z" fill="#3d6b4f"/>
<path d="M115 50a18 18 0 0 1 0 36" fill="none" stroke="#3d6b4f" stroke-width="8"/>
<path d="M50 30c-8-10 8-12 0-22M70 30c-8-10 8-12 0-22M90 30c-8-10 8-12 0-22"
  fill="none" stroke="#a8b9ae" stroke-width="4" stroke-linecap="round"/>
<text x="70" y="80" fill="#fff" font-family="sans-serif" font-size="24" text-anchor="middle">%d</text>
</svg>
`

func (v *visit) picture() {
	v.set("Cache-Control", "max-age=300")
	v.write(http.StatusOK, "image/svg+xml", fmt.Appendf(nil, cup, v.Stamp(), v.Count))
}
