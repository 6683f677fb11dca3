// Package cachecontrol reads and writes the directives of Cache-Control (RFC 9111 §5.2), with the
// extensions of RFC 5861 and RFC 8246, and those of the targeted fields of RFC 9213, such as
// CDN-Cache-Control.
//
// # Malformed fields
//
// Parsing never fails: a cache must decide something about every message. If a field is malformed,
// the result is the cautious one:
//
//   - Every directive is read on its own. A malformed one neither drops nor changes its neighbours.
//   - A restriction (no-store, no-cache, private, must-revalidate, proxy-revalidate,
//     must-understand, no-transform) counts even if its argument is wrong. An empty or malformed
//     list of field names makes no-cache and private unqualified.
//   - A permission (public, immutable) counts only if it can be read without doubt. The same holds
//     for numbers: an argument that is not a number means zero seconds, hence staleness (§4.2.1).
//   - If a directive has several values, the first counts (§4.2.1).
//   - A quote that is never closed, or that stands where none is allowed, hides nothing:
//     restrictions count wherever they appear in that line, even between quotes. After a quote that
//     is left open, or that is out of place with a comma before the next quote, numbers mean zero
//     seconds, and permissions and extensions are ignored.
//   - must-understand lets a cache disregard no-store (§5.2.2.3). So beside no-store it counts
//     only if nothing puts it in doubt.
//
// A malformed targeted field is ignored as a whole instead, as RFC 9213 demands; see
// [ParseTargeted].
//
// # Limits
//
// Parsing takes time linear in the field's length. At most 128 extension directives are kept, and a
// list of more than 128 field names counts as unqualified.
//
// All functions may be called concurrently. Their results share no slices with their arguments.
package cachecontrol
