package main

import (
	"cmp"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// collapseSlack is the most that may pass between the receipt of a header by the oracle and by
	// the cache.
	collapseSlack = 250 * time.Millisecond

	// troubleSlack is how long a failure may still break answers to new requests.
	troubleSlack = time.Second

	// ageSlack is how much Age may exceed the age that the oracle knows. Date and Age have whole
	// seconds.
	ageSlack = 2 * time.Second

	// dateSlack is a distance between two answers that guarantees different Dates, which have whole
	// seconds.
	dateSlack = 1200 * time.Millisecond

	// provenFor is how long an entry counts as stored after a hit. A resource with frequent hits is
	// not evicted so soon.
	provenFor = time.Second
)

// verdict is the oracle's finding on one answer.
type verdict struct {
	issue *issue // nil: the answer is not from the origin
	wrong string // the violation; empty if there is none
	error bool   // the answer reports a failure of the origin
}

// judge checks the header of an answer; check checks the body.
func (w *world) judge(q *ask, resp *http.Response) verdict {
	number, ok := issueNumber(resp.Header)
	if !ok {
		return w.judgeOwn(q, resp)
	}
	i := q.resource.issue(number)
	if i == nil {
		return verdict{wrong: fmt.Sprintf("issue %d is not of this URL, or is from long ago (the latest is %d)", number, w.latest.Load())}
	}
	v := verdict{issue: i}
	if q.unsafe() {
		if i.request != q.number {
			v.wrong = "the answer to another request"
		}
		return v
	}
	status := parseCacheStatus(resp.Header["Cache-Status"])
	v.wrong = cmp.Or(
		i.unvalidated(q),
		i.outOfPlace(q),
		i.afterHead(q),
		w.overtaken(q, i),
		w.beforePurge(q, i),
		i.forOther(q),
		w.tooOld(q, i, status),
		i.misfits(q, resp),
		w.implausible(q, i, resp, status),
	)
	return v
}

// judgeOwn checks an answer that is not from the origin, but from the proxy or from the cache.
func (w *world) judgeOwn(q *ask, resp *http.Response) verdict {
	switch status := resp.StatusCode; {
	case status == http.StatusBadGateway && w.troubled(q.resource, q.begun):
		return verdict{error: true}
	case status == http.StatusGatewayTimeout && q.directive == "only-if-cached":
		return verdict{error: true}
	case status == http.StatusRequestedRangeNotSatisfiable && len(q.ranges) == 1 && q.ranges[0].to == 0:
		return verdict{error: true}
	}
	return verdict{wrong: "an answer that the origin never gave, for no reason"}
}

// beforePurge checks that no response from before an invalidation is served to a request that began
// after it.
func (w *world) beforePurge(q *ask, i *issue) string {
	for _, v := range []struct {
		what string
		*invalidations
	}{
		{"an invalidation of the URL", &q.resource.invalidations},
		{"an invalidation of its group", &w.groups[q.resource.group]},
		{"a purge of everything", &w.all},
	} {
		if s, ok := v.between(i.at, q.begun, false); ok {
			return fmt.Sprintf("from before %s (%v to %v)", v.what, s.begin, s.end)
		}
	}
	return ""
}

// unvalidated checks that a response which needs validation goes only to the request that fetched
// or validated it. Waiting for it is no exception (RFC 9111 §4, §5.2.2.4).
func (i *issue) unvalidated(q *ask) string {
	if !i.validate || i.request == q.number {
		return ""
	}
	return fmt.Sprintf("whose: made for %q, for request %d, and not validated for this one", i.who, i.request)
}

// outOfPlace checks that the handler behind the cache found the values of outer middleware in its
// context.
func (i *issue) outOfPlace(q *ask) string {
	if i.item == "" || i.item == q.resource.path {
		return ""
	}
	return fmt.Sprintf("surroundings: made as %q", i.item)
}

// afterHead checks that a HEAD response without validators did not freshen a stored response (RFC
// 9111 §4.3.5).
func (i *issue) afterHead(q *ask) string {
	if !i.head || i.request == q.number || i.resource.class.validates() || i.status == 0 {
		return ""
	}
	return "head: kept alive by an answer to HEAD without validators"
}

// overtaken checks that no older response is served after a hit proved that a newer one is stored
// (RFC 9111 §4).
func (w *world) overtaken(q *ask, i *issue) string {
	res := q.resource
	res.mu.Lock()
	defer res.mu.Unlock()
	for _, n := range res.issues {
		proven := n.proven.Load()
		if proven == 0 || proven >= int64(q.begun) || proven < int64(q.begun-provenFor) || !n.selects(q.variant) {
			continue
		}
		for _, old := range res.issues {
			switch {
			case old == n || !n.newer(old) || old.representation() == n.representation():
			case old == i && i.request != q.number:
				return fmt.Sprintf("order: issue %d, which the origin was asked for at %v, was in the cache at %v", n.number, time.Duration(n.asked.Load()), time.Duration(proven))
			case old.status == n.status && old.ended.Load() > n.ended.Load():
				w.overtakings.Add(1)
			}
		}
	}
	return ""
}

// forOther checks that q may have i: some answers are for one request alone, the others are for
// requests that select the same variant.
func (i *issue) forOther(q *ask) string {
	switch {
	case i.reserved != "" && i.request != q.number:
		return fmt.Sprintf("reserved for request %d: %s", i.request, i.reserved)
	case q.body != "" && i.request != q.number:
		return "a GET with a body was answered from the cache"
	case !i.describes(q.variant):
		return fmt.Sprintf("vary: for variant %+v, which differs in %v", i.variant, i.vary)
	}
	return ""
}

// tooOld checks that the issue is fresh, or stale within what is allowed.
func (w *world) tooOld(q *ask, i *issue, status cacheStatus) string {
	if status.collapsed && !status.hit && i.lifetime <= 0 {
		return "whose: shared with a request that waited, though it must be validated before each use"
	}
	if i.at >= q.begun {
		return "" // the origin made it after this request began
	}
	if received := time.Duration(i.received.Load()); status.collapsed && received > 0 && received >= q.begun-collapseSlack {
		return ""
	}
	fresh := i.at + i.lifetime
	why, purged := "too old", ""
	if s, ok := q.resource.between(i.at, q.begun, true); ok && s.end < fresh {
		fresh = s.end
		why, purged = "too old after a soft purge", fmt.Sprintf("; soft purge %v to %v", s.begin, s.end)
	}
	validate := q.directive == "no-cache" || q.directive == "max-age=0"
	if !validate && q.begun < fresh {
		return ""
	}
	var grace time.Duration
	if !validate {
		grace = i.swr
		if q.directive == fmt.Sprintf("max-stale=%d", maxStale/time.Second) {
			grace = max(grace, maxStale)
		}
	}
	if q.directive != "no-cache" && w.troubled(q.resource, q.begun) {
		grace = max(grace, i.sie)
	}
	if i.neverStale {
		grace = 0
	}
	if grace > 0 && q.begun < fresh+grace {
		return ""
	}
	return fmt.Sprintf("%s: issued %v, fresh until %v%s, stale for %v at most, asked %v, directive %q",
		why, i.at, fresh, purged, grace, q.begun, q.directive)
}

// misfits checks the fields of the answer against those of the issue.
func (i *issue) misfits(q *ask, resp *http.Response) string {
	h := resp.Header
	switch {
	case h.Get("Etag") != i.etag:
		return fmt.Sprintf("entity tag %s, want %s", h.Get("Etag"), i.etag)
	case resp.StatusCode != http.StatusNotModified && h.Get("X-Version") != strconv.Itoa(i.version):
		return fmt.Sprintf("version %s, want %d", h.Get("X-Version"), i.version)
	}
	for _, line := range h["Set-Cookie"] {
		// The value of an origin's cookie is the number of the request that it was set for.
		if i.request != q.number || strings.HasPrefix(line, cookiePrefix) && line != cookieFor(q.number) {
			return "cookie: " + line + ", which was set for another request"
		}
	}
	switch status := resp.StatusCode; {
	case i.status == 0:
		if status < 500 {
			return fmt.Sprintf("status %d, want an error", status)
		}
	case status == http.StatusNotModified:
		return i.falselyUnmodified(q)
	case status == http.StatusRequestedRangeNotSatisfiable:
		if len(q.ranges) == 0 || q.ranges[0].to != 0 {
			return "416 for a range that the body has"
		}
	case status == http.StatusPartialContent:
		if len(q.ranges) == 0 || q.ranges[0].to == 0 {
			return "206 without a request for this range"
		}
		if q.ifRange != "" && q.ifRange != i.etag {
			return "206 of another representation than the one in If-Range"
		}
	case status != i.status:
		return fmt.Sprintf("status %d, want %d", status, i.status)
	default:
		if length := h.Get("Content-Length"); length != "" && length != strconv.FormatInt(i.size, 10) {
			if i.head && !i.resource.class.validates() {
				return fmt.Sprintf("head: Content-Length %s, want %d", length, i.size)
			}
			return fmt.Sprintf("Content-Length %s, want %d", length, i.size)
		}
	}
	return ""
}

// falselyUnmodified checks a 304.
func (i *issue) falselyUnmodified(q *ask) string {
	switch {
	case q.etag != "" && q.etag != i.etag:
		return fmt.Sprintf("304 for %s, but %s is stored", q.etag, i.etag)
	case q.etag == "" && q.since == "":
		return "304 to a request without conditions"
	case q.etag == "":
		since, err := time.Parse(http.TimeFormat, q.since)
		if modified, merr := time.Parse(http.TimeFormat, i.modified); err != nil || merr != nil || modified.After(since) {
			return fmt.Sprintf("304 for a version that was modified %s, which is later", i.modified)
		}
	}
	return ""
}

// implausible checks Age and Cache-Status.
func (w *world) implausible(q *ask, i *issue, resp *http.Response, status cacheStatus) string {
	switch {
	case status.wrong != "":
		return status.wrong
	case status.hit == (status.fwd != ""):
		return fmt.Sprintf("Cache-Status says hit=%v and fwd=%q", status.hit, status.fwd)
	case status.hit && i.at >= q.begun && i.request == q.number:
		return "Cache-Status says hit, but the origin made the answer for this request"
	case !status.hit && !status.collapsed && i.request != q.number && status.detail != "stale-if-error":
		return "Cache-Status says neither hit nor collapsed, but the origin made the answer for another request"
	}
	text := resp.Header.Get("Age")
	if text == "" {
		if status.hit {
			return "a hit without Age"
		}
		return ""
	}
	age, err := strconv.Atoi(text)
	least := (q.begun - i.at) / time.Second * time.Second
	most := w.now() - i.at + ageSlack + seconds(i.aged)
	if asked := time.Duration(i.asked.Load()); asked != 0 {
		most += i.at - asked // the response delay counts (RFC 9111 §4.2.3), also on a busy machine
	}
	if got := seconds(age); err != nil || got < least || got > most {
		return fmt.Sprintf("Age %s is not within %v and %v", text, least, most)
	}
	return ""
}

// check reads and checks a body. wrong describes a violation. err is an error of reading; the body
// is right up to that place.
func (v verdict) check(q *ask, resp *http.Response) (read int64, wrong string, err error) {
	i := v.issue
	switch {
	case i == nil, q.unsafe(), q.method == http.MethodHead, resp.StatusCode == http.StatusNotModified,
		resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		read, err = io.Copy(io.Discard, resp.Body)
		return read, "", err
	}
	bytes := unit(i.resource.path, i.representation())
	if resp.StatusCode != http.StatusPartialContent {
		return verify(resp.Body, bytes, 0, i.size)
	}
	if len(q.ranges) == 1 {
		want := q.ranges[0].within(i.size)
		if got := resp.Header.Get("Content-Range"); got != want.contentRange(i.size) {
			return 0, fmt.Sprintf("Content-Range %q, want %q", got, want.contentRange(i.size)), nil
		}
		return verify(resp.Body, bytes, want.from, want.to)
	}
	return q.checkParts(i, bytes, resp)
}

// checkParts checks the parts of a multipart answer.
func (q *ask) checkParts(i *issue, unit []byte, resp *http.Response) (read int64, wrong string, err error) {
	kind, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "multipart/byteranges" {
		return 0, fmt.Sprintf("several ranges with Content-Type %q", resp.Header.Get("Content-Type")), nil
	}
	parts := multipart.NewReader(resp.Body, params["boundary"])
	for _, s := range q.ranges {
		want := s.within(i.size)
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return read, fmt.Sprintf("no part %v", want), nil
		}
		if err != nil {
			return read, "", err
		}
		if got := part.Header.Get("Content-Range"); got != want.contentRange(i.size) {
			return read, fmt.Sprintf("Content-Range %q, want %q", got, want.contentRange(i.size)), nil
		}
		n, wrong, err := verify(part, unit, want.from, want.to)
		if read += n; wrong != "" || err != nil {
			return read, wrong, err
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return read, fmt.Sprintf("after the last part: %v", err), nil
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return read, "", err
}

// within limits a range to a body of size bytes.
func (s section) within(size int64) section { return section{s.from, min(s.to, size)} }

func (s section) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.from, s.to-1, size)
}
