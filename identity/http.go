package identity

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// isSecure reports whether the browser reaches this server by TLS, be it by way
// of the proxy that the public address names.
func (g *Guard) isSecure(r *http.Request) bool {
	return r.TLS != nil || g.publicURL != nil && g.publicURL.Scheme == "https" && strings.EqualFold(r.Host, g.publicURL.Host)
}

// cookieName holds the port, for browsers send cookies to every port of a host:
// two Gatehouses on one machine would sign each other's people out. Over TLS the
// prefix __Host- keeps other hosts of the domain from setting it.
func (g *Guard) cookieName(r *http.Request) string { return g.nameOf(r, "gatehouse_session") }

func (g *Guard) nameOf(r *http.Request, name string) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil && isDigits(port) {
		name += "_" + port
	}
	if g.isSecure(r) {
		name = "__Host-" + name
	}
	return name
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// setCookie sets a cookie that other sites' links come with, for notices link to
// requests from chats and mails, but none of their forms and scripts. What changes
// anything is a POST, which the guard takes from this site alone.
func (g *Guard) setCookie(w http.ResponseWriter, r *http.Request, name, value string, ends time.Time) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS; on loopback there is none.
		Name: name, Value: value, Path: "/", Expires: ends,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: g.isSecure(r),
	})
}

// localPath returns path if it is a path of this server and "/" for anything
// else: "//evil.example", "/\evil.example" and whole addresses would send the
// person who just signed in to another site.
func localPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || u.Path == "/logout" || u.Path == "/login" || u.Path == oidcPath || u.Path == callbackPath || u.Path == tokenPath || u.Path == deviceStartPath {
		return "/"
	}
	return u.RequestURI()
}

// wantsPage reports whether the request came from a browser that shows pages.
func wantsPage(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

func challenge(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
}

// problem writes an RFC 9457 answer.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"title": http.StatusText(status), "status": status, "detail": detail,
	})
}

// secure sets the headers that every answer carries. Scripts, styles and data
// come from this server alone and stand in files of their own.
func (g *Guard) secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: browsers would then send "Origin: null" with our own
	// forms, and the check for requests of other sites would refuse them.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if g.isSecure(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
