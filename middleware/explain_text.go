package middleware

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque/rules"
)

// String returns the Lines, each with its end of line.
func (e Explanation) String() string { return strings.Join(e.Lines(), "\n") + "\n" }

// Lines returns the explanation in plain sentences, the result first. Header fields of the request
// and the response appear in them: a page must escape them.
func (e Explanation) Lines() []string {
	lines := []string{
		fmt.Sprintf("%s %s, at the %s door of %s:", readable(e.Method), readable(e.URL), e.Door, e.Cache),
		e.Now.sentence(e),
	}
	if e.Error != "" {
		lines = append(lines, "The lookup failed: "+readable(e.Error)+".")
	}
	for _, r := range e.Rules {
		line := r.Text
		if r.Section != "" {
			line += " [" + r.Section + "]"
		}
		lines = append(lines, line)
	}
	if e.Key == nil {
		return append(lines, "The request has no key.")
	}
	lines = append(lines, fmt.Sprintf("Key: %s, with the hash %s.", e.Key.Text, e.Key.Hash))
	if e.Vary != nil {
		lines = append(lines, e.Vary.lines()...)
	}
	lines = append(lines, e.storedLines()...)
	if m := e.Uncacheable; m != nil {
		line := "The predictor marked the key as uncacheable " + ago(e.At, m.At)
		if m.Reason != "" {
			line += ", for the reason " + readable(m.Reason)
		}
		lines = append(lines, line+". Until it forgets that, requests for the key do not wait for each other.")
	}
	if r := e.Refused; r != nil {
		line := fmt.Sprintf("%s an answer with the status %d was not stored. %s", capital(ago(e.At, r.At)), r.Status, r.Text)
		if r.Section != "" {
			line += " [" + r.Section + "]"
		}
		if r.Custom != "" {
			line += " The filter's reason: " + readable(r.Custom) + "."
		}
		lines = append(lines, line)
	}
	if f := e.Fill; f != nil {
		if f.Locked {
			lines = append(lines, "Another request is fetching it now.")
		}
		if f.Fills > 0 {
			lines = append(lines, fmt.Sprintf("Fills under way for the URL: %d, with %d readers.", f.Fills, f.Readers))
		}
	}
	return lines
}

// sentence says what would happen.
func (p Prospect) sentence(e Explanation) string {
	switch p {
	case WouldHit:
		return "It would be a hit: the stored response is the answer."
	case WouldBeStale:
		return "It would get the stored response, which is stale."
	case WouldRevalidate:
		return "It would get the stored response, which is stale, and the cache would revalidate that in the background."
	case WouldValidate:
		return "The origin would be asked whether the stored response is still good" + e.conditions() + "."
	case WouldFetch:
		if e.names("request-no-store") || e.names("head") {
			return "The origin would be asked" + e.conditions() + ". The answer would not be stored."
		}
		return "The origin would be asked" + e.conditions() + ". Whether the answer is stored depends on the answer."
	case WouldFetchPart:
		return "The origin would be asked for the bytes that are missing" + e.conditions() + "."
	case WouldWait:
		return "It would wait for the request that is fetching the response now."
	case WouldPass:
		return "It would go to the origin, and the answer would not be stored."
	case WouldBypass:
		return "It would go to the origin past the cache."
	case WouldFail:
		return "It would get 504."
	case WouldPurge:
		return "It would purge what is stored."
	}
	return string(p)
}

// names reports whether the rule with this token decided.
func (e Explanation) names(token string) bool {
	return slices.ContainsFunc(e.Rules, func(r rules.Reason) bool { return r.Token == token })
}

func (e Explanation) conditions() string {
	if len(e.Conditions) == 0 {
		return ""
	}
	return ", with " + short(strings.Join(e.Conditions, " and "))
}

// lines describes the variants.
func (v *ExplainedVary) lines() (lines []string) {
	for _, f := range v.Fields {
		if f.AsAsked != nil {
			lines = append(lines, fmt.Sprintf("Config.Normalize made %q of %s: %s.", short(strings.Join(f.Values, ", ")), f.Name, short(strings.Join(f.AsAsked, ", "))))
		}
	}
	if v.More {
		lines = append(lines, "Config.Variance, or a rewritten URL, selects a variant too.")
	}
	for _, variant := range v.Variants {
		line := "Variant " + variant.Hash[:8]
		if variant.Selected {
			line = "The selected variant " + variant.Hash[:8]
		}
		for _, fact := range [][2]string{
			{"Content-Language", variant.Language}, {"Content-Encoding", variant.Encoding}, {"Content-Type", variant.Type}, {"ETag", variant.ETag},
		} {
			if fact[1] != "" {
				line += ", " + fact[0] + " " + short(fact[1])
			}
		}
		if variant.Gone {
			line += ": no longer stored"
		}
		lines = append(lines, line+".")
	}
	return lines
}

// storedLines describes what is stored, and the purges.
func (e Explanation) storedLines() []string {
	s := e.Stored
	if s == nil {
		return []string{"Nothing is stored for it."}
	}
	size := fmt.Sprintf("%d bytes", s.Size)
	if s.Size < 0 {
		size = "a body of unknown length"
	}
	line := fmt.Sprintf("Stored: status %d, %s, weight %d, tag %d, stored %s", s.Status, size, s.Weight, s.Tag, ago(e.At, s.Created))
	if !s.Updated.Equal(s.Created) {
		line += ", validated " + ago(e.At, s.Updated)
	}
	switch {
	case s.Uses >= 0 && s.AtLeast:
		line += fmt.Sprintf(", read %d times or more", s.Uses)
	case s.Uses == 0:
		line += ", not read since"
	case s.Uses == 1:
		line += ", read once"
	case s.Uses > 0:
		line += fmt.Sprintf(", read %d times", s.Uses)
	}
	lines := []string{line + "."}
	if s.Live {
		lines = append(lines, "It is still being written; readers can follow it.")
	}
	if len(s.Groups) > 0 {
		lines = append(lines, "It is in the cache groups "+short(strings.Join(s.Groups, ", "))+".")
	}
	switch s.Void {
	case "purged":
		lines = append(lines, "It must not be used: everything was purged after it was fetched.")
	case "group purged":
		lines = append(lines, "It must not be used: one of its groups was purged after it was fetched.")
	case "superseded":
		lines = append(lines, "It must not be used: a more recent answer came.")
	case "unselected":
		lines = append(lines, "It does not answer this request: the request has a dimension for which it was not stored.")
	}
	return lines
}

// lifetimeSentence says how long the response is fresh, and what says so.
func (s *ExplainedEntry) lifetimeSentence() string {
	lifetime := "The lifetime is " + plain(s.Lifetime)
	switch s.Source {
	case "max-age", "s-maxage":
		return fmt.Sprintf("%s, by %s in %s.", lifetime, s.Source, s.Field)
	case "expires":
		return lifetime + ", by Expires."
	case "heuristic":
		return lifetime + ", guessed from Last-Modified."
	case "default":
		return lifetime + ", by Config.FreshFor."
	case "changed":
		return lifetime + ": it was changed after the response was stored, as by a soft purge."
	}
	return "The response has no lifetime."
}

// plain returns d for a sentence: rounded to what a person reads.
func plain(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Millisecond:
		d = d.Round(time.Millisecond)
	case d > 0:
		return "0s"
	}
	return d.String()
}

func ago(now, at time.Time) string {
	if at.IsZero() {
		return "an unknown time ago"
	}
	if now.Sub(at) < time.Millisecond {
		return "a moment ago"
	}
	return plain(now.Sub(at)) + " ago"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
