package rules

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// Freshen updates a stored response with the header of a 304, or of a 200 to HEAD that matches it
// ([CompareHead]), and computes its freshness anew (RFC 9111 §4.3.4 and §4.3.5). The result keeps
// the variance, the extensions and the creation time. stored does not change.
//
// The updated response answers the request even if there is a refusal. With a refusal it must not
// be stored. If the refusal Ends the stored response, the caller must remove that; otherwise the
// stored response stays as it was.
//
// All fields are updated (§3.2) except these:
//   - Content-Length, Content-Encoding and Content-Range describe the stored bytes, which a 304
//     does not change. The 304 may be about another coding of the content, with the same weak tag.
//   - Vary decides where the response is stored. If the Vary of the 304 names fields that the
//     stored Vary does not, the update is refused: others would get a response meant for one.
//   - Set-Cookie is for this client, and the caller passes it on from x.Header. [Policy.SetCookie]
//     says whether it is also stored. Where it is, a shared cache stores it only if the 304 itself
//     grants freshness, as [Policy.Store] demands of a 200. A refusal because of a cookie does not
//     end a stored response that is validated before each use.
//   - Age and Date are those of the 304. If it has no Age, the old one is dropped; if it has no
//     Date, the time of receipt replaces the old one.
func (p *Policy) Freshen(stored *cirque.CacheMeta, x *Exchange) (*cirque.CacheMeta, *Refusal) {
	c := p.candidate(x, stored.StatusCode(), updatedHeader(stored, x))
	refusal := c.refusal()
	switch {
	case refusal == nil:
		if refusal = c.refusedUpdate(stored); refusal != nil {
			refusal.Ends = true
		}
	default:
		// The update takes effect for all clients (RFC 9111 §4.3.4), so what counts is whether the
		// response alone forbids storing, whatever the request says.
		byResponse := c.refusedByResponse()
		refusal.Ends = byResponse != nil && !(byResponse.Detail == refusedCookie && validatedAlways(stored, x))
	}
	m := c.meta()
	m.Continue(stored)
	m.SetFlags(m.Flags() | stored.Flags()&(cirque.MetaDecoded|cirque.MetaPartial|cirque.MetaAuthorized))
	setGroups(m, x.Request)
	return m, refusal
}

// validatedAlways reports whether the stored response is never used without asking the origin
// first. If a 304 for it sets a cookie, the update is not stored, because its other fields may also
// be for one client. The stored response does not end: no client gets it unless the origin allows
// it.
func validatedAlways(stored *cirque.CacheMeta, x *Exchange) bool {
	return (stored.Has(cirque.MetaNoCache) || stored.Has(cirque.MetaNoStale) && !stored.IsFresh(x.ResponseTime)) && !widensVary(stored, x)
}

// updatedHeader returns the stored header with the fields of x's response, as Freshen describes it.
func updatedHeader(stored *cirque.CacheMeta, x *Exchange) http.Header {
	h := stored.Header().Header()
	delete(h, "Age")
	delete(h, "Date") // without a Date, the time of receipt counts (RFC 9110 §6.6.1)
	for name, lines := range StoredHeader(x.Header) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range":
			continue
		case "Vary":
			if !widensVary(stored, x) {
				continue // the stored Vary stays: the response is stored under its fields
			}
		}
		h[name] = lines
	}
	return h
}

// widensVary reports whether the Vary of x's response names a field that the stored Vary does not,
// or "*".
func widensVary(stored *cirque.CacheMeta, x *Exchange) bool {
	fields, star := VaryFields(x.Header)
	known, _ := VaryFields(http.Header{"Vary": stored.Header().Values("Vary")})
	return star || slices.ContainsFunc(fields, func(name string) bool { return !slices.Contains(known, name) })
}

// refusedUpdate applies the rules of storing that concern only updates. It returns nil if none
// objects.
func (c *candidate) refusedUpdate(stored *cirque.CacheMeta) *Refusal {
	p, x := c.policy, c.exchange
	if widensVary(stored, x) {
		return refuseResponse("vary-changed") // RFC 9111 §4.1
	}
	if p.Private || len(x.Header["Set-Cookie"]) == 0 || len(c.stored["Set-Cookie"]) == 0 {
		return nil
	}
	if update := p.candidate(x, c.status, x.Header); !update.reusableAsItIs() {
		return refuseResponse(refusedCookie) // RFC 9111 §7.3
	}
	return nil
}

// SelectForFreshening returns the index of the stored response that a 304 with header h identifies
// (RFC 9111 §4.3.4). If several match, it is the most recent. It is -1 if none matches: then none
// may be updated, and the request must be sent again without preconditions.
//
// candidates are the stored responses whose validators were in the request. Variants that differ in
// their coding can share a weak tag. So for variants that the request did not select, the caller
// should send only strong tags.
func SelectForFreshening(h http.Header, candidates []cirque.Variant) int {
	etag, modified := h.Get("Etag"), h.Get("Last-Modified")
	matches := func(v cirque.Variant) bool {
		switch {
		case isStrong(etag):
			return StrongMatch(v.ETag, etag)
		case etag != "":
			return WeakMatch(v.ETag, etag)
		case modified != "": // a weak validator (RFC 9110 §8.8.2.2)
			return field.SameDate(v.LastModified, modified, v.Created)
		}
		return len(candidates) == 1 // a 304 without validators must be about the only candidate
	}
	selected := -1
	for i, v := range candidates {
		if matches(v) && (selected < 0 || !v.Created.Before(candidates[selected].Created)) {
			selected = i
		}
	}
	return selected
}

// HeadComparison says what a 200 to HEAD tells about the stored response to GET (RFC 9111 §4.3.5).
type HeadComparison uint8

const (
	// HeadUnknown: the answer does not show whether the stored response is current. It stays as it
	// was.
	HeadUnknown HeadComparison = iota
	// HeadSame: a validator is the same and nothing else differs. [Policy.Freshen] updates the
	// stored response.
	HeadSame
	// HeadDiffers: a validator or the length differs. The stored response is out of date.
	HeadDiffers
)

// String returns the name of c.
func (c HeadComparison) String() string {
	switch c {
	case HeadUnknown:
		return "Unknown"
	case HeadSame:
		return "Same"
	case HeadDiffers:
		return "Differs"
	}
	return "HeadComparison(?)"
}

// CompareHead compares h, the header of a 200 to HEAD, with the stored response. bodyLen is the
// length of the stored body in bytes, or negative if it is unknown. An equal length alone proves
// nothing: a new version may be as long as the old one.
func CompareHead(stored *cirque.CacheMeta, bodyLen int64, h http.Header) HeadComparison {
	header, same := stored.Header(), HeadUnknown
	if etag := h.Get("Etag"); etag != "" {
		if etag != header.Get("Etag") {
			return HeadDiffers
		}
		same = HeadSame
	}
	if modified := h.Get("Last-Modified"); modified != "" {
		if !field.SameDate(modified, header.Get("Last-Modified"), stored.Updated()) {
			return HeadDiffers
		}
		same = HeadSame
	}
	length := h.Get("Content-Length")
	if length == "" || stored.Has(cirque.MetaDecoded) { // a decoded body has another length than at the origin
		return same
	}
	of := header.Get("Content-Length")
	if of == "" && bodyLen >= 0 {
		of = strconv.FormatInt(bodyLen, 10)
	}
	if of != "" && length != of {
		return HeadDiffers
	}
	return same
}
