package rules

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// Freshen updates the stored response with the header of a 304, or of a 200 to HEAD that fits it
// ([CompareHead]), and works out its freshness anew (RFC 9111 §4.3.4 and §4.3.5). The result keeps
// variance, extensions and creation time.
//
// It answers the request in any case. Where there is a refusal it must not be stored, and if that
// Ends the stored response, that has to be removed; otherwise it stays as it was.
//
// All fields are updated (§3.2) but these:
//   - Content-Length, Content-Encoding and Content-Range describe the stored bytes, which a 304 does not
//     change. It may have been meant for another coding of the same content, where both share a weak tag.
//   - Vary decides where the response is stored. A 304 whose Vary names fields that the stored one does not is
//     refused, or others would get what was meant for one.
//   - A Set-Cookie is for the client of the moment; the caller sends it on from x.Header. What else becomes of it is
//     for [Policy.SetCookie] to say; where it is kept, a shared cache stores it only if the 304 itself grants
//     freshness, as [Policy.Store] demands of a 200. A stored response that is validated before
//     each use does not end by a refusal for a cookie.
//   - Age is that of the 304, or gone with the old one.
func (p *Policy) Freshen(stored *cirque.CacheMeta, x *Exchange) (*cirque.CacheMeta, *Refusal) {
	c := p.candidate(x, stored.StatusCode(), updatedHeader(stored, x))
	refusal := c.refusal()
	switch {
	case refusal == nil:
		if refusal = c.refusedUpdate(stored); refusal != nil {
			refusal.Ends = true
		}
	default:
		// Prediction aside, it does not matter who asked: the update takes effect for all (RFC 9111
		// §4.3.4).
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
// first. A 304 to it that sets a cookie is not stored, as what else it says may be for one client.
// It does not end the response either: nobody gets that without an answer of the origin's.
func validatedAlways(stored *cirque.CacheMeta, x *Exchange) bool {
	return (stored.Has(cirque.MetaNoCache) || stored.Has(cirque.MetaNoStale) && !stored.IsFresh(x.ResponseTime)) && !widensVary(stored, x)
}

func updatedHeader(stored *cirque.CacheMeta, x *Exchange) http.Header {
	h := stored.Header().Header()
	delete(h, "Age")
	delete(h, "Date") // an update without one was made when it was received (RFC 9110 §6.6.1)
	for name, lines := range StoredHeader(x.Header) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range":
			continue
		case "Vary":
			if !widensVary(stored, x) {
				continue // what it was stored under stays
			}
		}
		h[name] = lines
	}
	return h
}

// widensVary reports whether x's response varies on more than the stored one.
func widensVary(stored *cirque.CacheMeta, x *Exchange) bool {
	fields, star := cirque.VaryFields(x.Header)
	known, _ := cirque.VaryFields(http.Header{"Vary": stored.Header().Values("Vary")})
	return star || slices.ContainsFunc(fields, func(name string) bool { return !slices.Contains(known, name) })
}

// refusedUpdate applies the rules on storing that only concern updates.
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
// (RFC 9111 §4.3.4), or -1: then none may be updated, and the request has to be sent again without
// preconditions. Of several it is the most recent.
//
// candidates are the responses whose validators the request nominated. A weak tag can be shared by
// variants that differ in their coding, so of those that the request did not select only strong
// ones should be nominated.
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
		return len(candidates) == 1 // without validators a 304 can only be about the one that was nominated
	}
	selected := -1
	for i, v := range candidates {
		if matches(v) && (selected < 0 || !v.Created.Before(candidates[selected].Created)) {
			selected = i
		}
	}
	return selected
}

// HeadComparison is what a 200 to HEAD says about the stored response to GET (RFC 9111 §4.3.5).
type HeadComparison uint8

const (
	// HeadUnknown: neither that it is the same nor that it is another. The stored response stays as
	// it was.
	HeadUnknown HeadComparison = iota
	// HeadSame: it has a validator of the stored response, and nothing speaks against it.
	// [Policy.Freshen] updates that.
	HeadSame
	// HeadDiffers: a validator or the length is another one. The stored response is out of date.
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

// CompareHead compares a 200 to HEAD with header h with the stored response, whose body is bodyLen
// bytes long (negative where that is not known). An equal length alone proves nothing: a new
// version may be as long as the old one.
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
	if length == "" || stored.Has(cirque.MetaDecoded) { // the length of a decoded body says nothing about the origin's
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
