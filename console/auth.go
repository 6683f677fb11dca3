package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Loopback reports whether r comes from this machine, was not forwarded by a proxy, and asks for a
// name of this machine: localhost, or a loopback address. The last condition keeps out web pages
// that have let their own name point to this machine (DNS rebinding).
func Loopback(r *http.Request) bool {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback() && IsLoopback(r.Host) &&
		len(r.Header["Forwarded"]) == 0 && len(r.Header["X-Forwarded-For"]) == 0
}

// IsLoopback reports whether host, with or without a port, is localhost or a loopback address.
func IsLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

const (
	sessionCookie = "cirque-console"
	sessionFor    = 12 * time.Hour
	csrfField     = "X-Cirque-Console" // a POST carries the page's secret in it
)

// secrets check tokens, sessions and forms. They last as long as the process: after a restart,
// browsers log in again.
type secrets struct {
	token  [sha256.Size]byte
	needed bool // there is a token
	key    [32]byte
	csrf   string
}

func newSecrets(token string) secrets {
	s := secrets{token: sha256.Sum256([]byte(token)), needed: token != ""}
	_, _ = rand.Read(s.key[:]) // it never fails
	s.csrf = s.sign("form")
	return s
}

// sign returns a text that only this process can make from the same text.
func (s *secrets) sign(text string) string {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// isToken reports whether text is the token. Its time does not depend on how much of it is right.
func (s *secrets) isToken(text string) bool {
	sum := sha256.Sum256([]byte(text))
	return s.needed && subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// hasBearer reports whether r has the token in Authorization (RFC 6750 §2.1).
func (s *secrets) hasBearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && s.isToken(token)
}

// admit reports whether r has the token, or a session that has not ended; always if there is no
// token.
func (s *secrets) admit(r *http.Request) bool {
	return !s.needed || s.hasBearer(r) || s.hasSession(r)
}

// hasSession reports whether a cookie of r is one that newSession made.
func (s *secrets) hasSession(r *http.Request) bool {
	for _, cookie := range r.CookiesNamed(sessionCookie) {
		until, signature, _ := strings.Cut(cookie.Value, ".")
		end, err := strconv.ParseInt(until, 10, 64)
		if err == nil && time.Now().Before(time.Unix(end, 0)) && hmac.Equal([]byte(signature), []byte(s.sign("session "+until))) {
			return true
		}
	}
	return false
}

// newSession returns the cookie of a new session. It has no Path, so it is sent only to what is
// below the page.
func (s *secrets) newSession(r *http.Request) *http.Cookie {
	until := strconv.FormatInt(time.Now().Add(sessionFor).Unix(), 10)
	return &http.Cookie{
		Name: sessionCookie, Value: until + "." + s.sign("session "+until), MaxAge: int(sessionFor / time.Second),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

// sameOrigin refuses what the page of another origin makes a browser send.
var sameOrigin = http.NewCrossOriginProtection()

// checkPost returns an error if r does not come from the page, or from a program that has the
// token.
func (s *secrets) checkPost(r *http.Request) error {
	if sameOrigin.Check(r) != nil {
		return errors.New("a page of another origin must not do this")
	}
	if !s.hasBearer(r) && !hmac.Equal([]byte(r.Header.Get(csrfField)), []byte(s.csrf)) {
		return errors.New("the request does not come from this page, or the program was restarted: load the page again")
	}
	return nil
}

// refuse answers a request without token and session. A browser that asks for the page gets the
// form.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		writePage(w, http.StatusUnauthorized, loginPage, "")
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="cirque console"`)
	http.Error(w, "log in, or send the token", http.StatusUnauthorized)
}

// serveLogin answers the login form.
func (c *Console) serveLogin(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		writePage(w, http.StatusOK, loginPage, "")
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "the method must be GET or POST", http.StatusMethodNotAllowed)
		return
	case sameOrigin.Check(r) != nil:
		http.Error(w, "a page of another origin must not do this", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !c.secrets.isToken(r.PostFormValue("token")) {
		writePage(w, http.StatusUnauthorized, loginPage, "That is not the token.")
		return
	}
	http.SetCookie(w, c.secrets.newSession(r))
	w.Header().Set("Location", "./") // of the page, whatever it is mounted under
	w.WriteHeader(http.StatusSeeOther)
}

// serveLogout makes the browser forget its session.
func (c *Console) serveLogout(w http.ResponseWriter, _ *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}
