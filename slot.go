package cirque

import "time"

// slot is the place in the cache that a walk, and then its fill, is about.
type slot struct {
	opts   *CacheOptions
	state  *PurgeState // of the Storage
	trace  *CacheTrace
	key    CacheKey
	purges purgeMark // when the key was last looked up

	record    *VaryRecord // see varyRecord
	packed    string      // record as it was found, until somebody asks for it
	newRecord bool        // it takes the place of what is in the primary slot
	voided    *VaryRecord // whose variants are out of reach once the fill is stored; nil: none
}

// varyRecord returns the vary record that the key's variance belongs to; nil where there is none.
// It is unpacked late: a hit has no use for the variants, which may be many.
func (s *slot) varyRecord() *VaryRecord {
	if s.packed != "" {
		s.record, _ = decodeVaryRecord(s.packed)
		s.packed = ""
	}
	return s.record
}

func (s *slot) setVaryRecord(r *VaryRecord) { s.record, s.packed = r, "" }

// notePurges remembers the purges so far.
func (s *slot) notePurges() {
	s.purges = s.state.mark(s.key.primaryHash)
	s.purges.epoch, s.purges.generation = s.state.Epoch(), s.state.generation()
	s.purges.asked = s.purges.epoch
}

// purged reports whether a purge of the key began since it was last looked up, or one of everything
// or of a group that voids what meta, which knows its epoch, is about.
func (s *slot) purged(meta *CacheMeta) bool {
	return s.state.purgedSince(s.key.primaryHash, s.purges) || s.state.Voids(meta)
}

// storedEntry is what a walk found: what the answer of the origin validates, or takes the place of.
type storedEntry struct {
	variance HashBinary
	tag      Tag // zero: nothing was found
}

// newerThan reports whether a response that is stored, or was, counts more than one with this meta.
func (s *slot) newerThan(meta, stored *CacheMeta) bool {
	return stored != nil && !s.state.Voids(stored) && moreRecent(stored, meta, time.Now())
}
