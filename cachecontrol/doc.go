// Package cachecontrol reads and writes the directives of Cache-Control
// (RFC 9111 §5.2), with the extensions of RFC 5861 and RFC 8246, and of the
// targeted fields of RFC 9213, CDN-Cache-Control among them.
//
// # How it errs
//
// Parsing never fails: a cache has to decide something about every message,
// and where a field is malformed it should decide for caution. Hence:
//
//   - Every directive is read on its own. One that is malformed neither drops
//     nor changes those around it.
//   - A restriction (no-store, no-cache, private, must-revalidate,
//     proxy-revalidate, must-understand, no-transform) counts whatever is wrong
//     with its argument. An empty or malformed list of field names makes
//     no-cache and private unqualified.
//   - A permission (public, immutable) counts only where it can be read without
//     doubt, and so do the numbers: an argument that is no number means zero
//     seconds, hence staleness (§4.2.1).
//   - Of several values for one directive the first counts (§4.2.1).
//   - A quote that is never closed, or that stands where none may, hides
//     nothing: restrictions count wherever they appear in that line, be it
//     between quotes. Behind a quote left open, or out of place with a comma
//     before the next one, numbers mean zero seconds, and permissions and
//     extensions are ignored.
//   - must-understand lets a cache disregard no-store (§5.2.2.3). Beside
//     no-store, therefore, it counts only if nothing puts it in doubt.
//
// A targeted field that is malformed is ignored as a whole instead, as RFC 9213
// demands; see [ParseTargeted].
//
// # Limits
//
// Parsing takes time linear in the field's length. At most 128 extension
// directives are kept, and a list of more than 128 field names counts as
// unqualified.
//
// All functions may be called concurrently. What they return shares no slices
// with their arguments.
package cachecontrol
