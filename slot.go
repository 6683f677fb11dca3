package cirque

import "time"

// slot is the place in the Storage that a walk, and then its fill, works on.
type slot struct {
	opts   *CacheOptions
	state  *PurgeState // of the Storage
	trace  *CacheTrace
	key    CacheKey
	purges purgeMark // the purges up to the last lookup of the key

	record    *VaryRecord // see varyRecord
	packed    string      // the encoded record, until varyRecord decodes it
	newRecord bool        // record replaces the entry in the primary slot
	voided    *VaryRecord // its variants are out of reach once the fill is stored; nil: none
}

// varyRecord returns the vary record that the key's variance belongs to, or nil. It is decoded only
// here, because a hit does not need the variants, which may be many.
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
	s.purges.askedEpoch = s.purges.epoch
}

// purged reports whether a purge of the key began since its last lookup, or a purge of everything
// or of a group voids the response of meta, whose epoch must be set.
func (s *slot) purged(meta *CacheMeta) bool {
	return s.state.purgedSince(s.key.primaryHash, s.purges) || s.state.Voids(meta)
}

// newerThan reports whether stored, the meta of a response that is or was stored, is more recent
// than meta. stored may be nil.
func (s *slot) newerThan(meta, stored *CacheMeta) bool {
	return stored != nil && !s.state.Voids(stored) && moreRecent(stored, meta, time.Now())
}

// storedEntry is the entry that a walk found. The answer of the origin validates or replaces it.
type storedEntry struct {
	variance HashBinary
	tag      Tag // zero: nothing was found
}
