package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
)

//go:embed page
var files embed.FS

// scripts are put into the page in this order, as one script.
var scripts = []string{"page/text.js", "page/plot.js", "page/plots.js", "page/lists.js", "page/actions.js", "page/stored.js", "page/main.js"}

// document is a page with its style and script, which are part of it.
type document struct {
	template *template.Template
	style    template.CSS
	script   template.JS
	policy   string // its Content-Security-Policy
}

var (
	consolePage = newDocument("page/console.html", scripts...)
	loginPage   = newDocument("page/login.html")
)

func newDocument(name string, scripts ...string) *document {
	d := &document{template: template.Must(template.ParseFS(files, name))}
	style := text("page/style.css")
	d.style = template.CSS(style)
	allowed := []string{
		"default-src 'none'", "style-src " + hashOf(style), "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
		"img-src data:", "require-trusted-types-for 'script'", "trusted-types 'none'",
	}
	if len(scripts) > 0 {
		var script strings.Builder
		script.WriteString("(() => {\n\"use strict\";\n")
		for _, name := range scripts {
			script.WriteString(text(name))
		}
		script.WriteString("})();\n")
		d.script = template.JS(script.String())
		allowed = append(allowed, "script-src "+hashOf(script.String()), "connect-src 'self'")
	}
	d.policy = strings.Join(allowed, "; ")
	return d
}

func text(name string) string {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return string(content)
}

// hashOf returns a source expression that allows just this inline text (CSP 3 §2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// setHeader sets what all answers have: nothing is stored or guessed, shown in a frame, or read by
// other origins.
func setHeader(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// contents are what a page's template is given.
type contents struct {
	Style   template.CSS
	Script  template.JS
	CSRF    string
	Field   string
	Caches  []string
	Token   bool // there is a session that can be ended
	Message string
}

// servePage answers with the page.
func (c *Console) servePage(w http.ResponseWriter, _ *http.Request) {
	show := contents{CSRF: c.secrets.csrf, Field: csrfField, Token: c.secrets.needed}
	for _, s := range c.sources {
		show.Caches = append(show.Caches, s.name)
	}
	consolePage.write(w, http.StatusOK, show)
}

func writePage(w http.ResponseWriter, status int, d *document, message string) {
	d.write(w, status, contents{Message: message})
}

func (d *document) write(w http.ResponseWriter, status int, show contents) {
	show.Style, show.Script = d.style, d.script
	var page bytes.Buffer
	if err := d.template.Execute(&page, show); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", d.policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		slog.Error("console: an answer cannot be written as JSON", "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
