package middleware

import (
	"net/http"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// listRules lists the rules that decided. They are in the order of RFC 9111; those of other
// documents are where they apply.
func (ex explainer) listRules() {
	ex.requestRules()
	if ex.e.Stored != nil && ex.dry.decided {
		ex.freshnessRules()
		ex.reuseRules()
	}
	ex.answerRules()
}

// add appends a rule.
func (ex explainer) add(section, token, text string) {
	ex.e.Rules = append(ex.e.Rules, rules.Reason{Section: section, Token: token, Text: text})
}

// addReason appends the rule that has this token.
func (ex explainer) addReason(token string) { ex.e.Rules = append(ex.e.Rules, reasonOf(token)) }

// requestRules lists the rules about the request itself (RFC 9111 §2 to §4.1).
func (ex explainer) requestRules() {
	switch {
	case ex.keptOut():
		if ex.e.Now == WouldPurge {
			ex.add("", "purge", "PURGE removes what is stored for the URL, if Config.AuthorizePurge allows it.")
		} else {
			ex.add("RFC 9110 §7.8", "upgrade", "The connection may be used for something other than HTTP, so the cache takes no part.")
		}
	case ex.hc.Phase() != cirque.PhaseDisabled || ex.hc.NoCacheReason() != cirque.NeverEnabled:
		if ex.cache.cfg.Key != nil {
			ex.add("RFC 9111 §2", "key", "Config.Key made the key.")
		} else {
			ex.add("RFC 9111 §2", "key", "The key is the scheme, host, path and query of the URL.")
		}
		if ex.directives.NoStore {
			ex.addReason("request-no-store")
		}
		ex.add("RFC 9111 §4", "method", ex.req.Method+" may be answered from a cache.")
	case ex.status.detail != "":
		ex.addReason(ex.status.detail)
	default:
		ex.addReason("method")
	}
	if vary := ex.e.Vary; vary != nil {
		ex.add("RFC 9111 §4.1", "vary", vary.sentence())
	}
	if rules.IsUnsafe(ex.req.Method) && ex.e.Now != WouldPurge {
		ex.add("RFC 9111 §4.4", "invalidation", ex.req.Method+" is not safe: if it succeeds, what is stored for the URL is removed.")
	}
}

// freshnessRules lists what makes the stored response fresh or stale (RFC 9111 §4.2).
func (ex explainer) freshnessRules() {
	s := ex.e.Stored
	ex.add("RFC 9111 §4.2.1", "lifetime", s.lifetimeSentence())
	if s.Fresh > 0 {
		ex.add("RFC 9111 §4.2", "fresh", "Its age is "+plain(s.Age)+", so it is fresh for another "+plain(s.Fresh)+".")
		return
	}
	ex.add("RFC 9111 §4.2", "stale", "Its age is "+plain(s.Age)+", so it has been stale for "+plain(-s.Fresh)+".")
	if s.NeverStale {
		ex.add("RFC 9111 §4.2.4", "never-stale", "must-revalidate, proxy-revalidate or s-maxage forbids using it while it is stale.")
	}
}

// reuseRules lists what decided about the use of the stored response (RFC 9111 §4.3 and §5.2.1).
func (ex explainer) reuseRules() {
	d := ex.dry.decision
	if d.Detail != "" {
		ex.addReason(d.Detail)
	}
	if d.Reuse == rules.ReuseWhileRevalidate && ex.e.Now == WouldValidate {
		ex.add("RFC 5861 §3", "no-background", "It cannot be revalidated in the background now, so the client waits.")
	}
	if ex.e.Now == WouldValidate {
		ex.add("RFC 9111 §4.3.1", "validate", "It must be validated before it is used.")
		if ex.staleIfError {
			ex.add("RFC 5861 §4", "stale-if-error", "If the origin fails, it is served stale.")
		}
	}
	if ex.e.Stored.Partial {
		ex.add("RFC 9111 §3.3", "partial", "Only parts of the body are stored.")
	}
}

// answerRules lists what shapes the answer, and what sends the request on.
func (ex explainer) answerRules() {
	e := ex.e
	switch {
	case ex.from == fromNowhere:
		ex.add("RFC 9111 §5.2.1.7", "only-if-cached", "The request has only-if-cached, and nothing is stored that may answer it.")
	case e.Now == WouldWait:
		ex.add("RFC 9111 §4", "collapsed", "One request fetches at a time; the others wait for its response.")
	case e.Now == WouldPass:
		ex.addReason(ex.status.detail)
	case ex.from != fromCache:
	case e.Status == http.StatusNotModified && e.Stored != nil && e.Stored.Status != e.Status:
		ex.add("RFC 9110 §13.2.2", "precondition", "The client's own copy is current, so it gets 304.")
	case e.Status == http.StatusPartialContent:
		ex.add("RFC 9110 §14.2", "range", "The client gets the range that it asked for.")
	case e.Status == http.StatusRequestedRangeNotSatisfiable:
		ex.add("RFC 9110 §15.5.17", "range", "The range lies outside of the body.")
	}
	if e.Now == WouldFetch && ex.sent().Method == http.MethodHead {
		ex.add("RFC 9111 §3", "head", "The answer to a HEAD is not stored.")
	}
	if e.Now == WouldFetch && len(ex.upstream.validators) > 0 {
		ex.add("RFC 9111 §4.3.1", "validate", "The origin may answer that one of the stored variants is the response.")
	}
}

// sentence says what the request selects.
func (v *ExplainedVary) sentence() string {
	var names, values []string
	for _, f := range v.Fields {
		names = append(names, f.Name)
		value := "no " + f.Name
		if len(f.Values) > 0 {
			if value = short(strings.Join(f.Values, ", ")); len(v.Fields) > 1 {
				value = f.Name + " " + value
			}
		}
		values = append(values, value)
	}
	what := "Vary: " + strings.Join(names, ", ")
	if len(names) == 0 {
		what = "Config.Variance, or the rewritten URL,"
	}
	whom := ""
	if len(values) > 0 {
		whom = " for " + strings.Join(values, " and ")
	}
	if v.Selected {
		return what + " selected the variant" + whom + "."
	}
	return what + ": no variant is stored" + whom + "."
}

// short returns s for a sentence: readable, and cut if it is long.
func short(s string) string {
	const most = 100
	if s = readable(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
