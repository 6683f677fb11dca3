package cirque

import (
	"encoding/binary"

	"github.com/cirquecache/cirque/internal/field"
)

// GroupHash returns the hash that identifies a cache group in a PurgeState. origin is written as in
// "https://example.com". Groups of different origins are different (RFC 9875 §2).
func GroupHash(origin, name string) HashBinary {
	b := make([]byte, 0, len(groupHashDomain)+len(origin)+len(name)+binary.MaxVarintLen64)
	b = append(b, groupHashDomain...)
	b = appendString(b, origin)
	return hash128(append(b, name...))
}

const groupHashDomain = "cirque group\x00"

// extensionGroups holds the GroupHash of each group that a response is in.
const extensionGroups = "cirque.groups"

// SetGroups sets the groups of the response from its Cache-Groups field (RFC 9875 §2), as groups of
// origin. The rules call it with the origin of the request's target. A caller that knows the origin
// by another name calls it again.
func (m *CacheMeta) SetGroups(origin string) {
	var packed []byte
	for _, name := range field.Groups(m.header.Values("Cache-Groups")) {
		hash := GroupHash(origin, name)
		packed = append(packed, hash[:]...)
	}
	if packed != nil || m.groups() != "" {
		m.SetExtension(extensionGroups, string(packed))
	}
}

// HasGroups reports whether SetGroups found any groups.
func (m *CacheMeta) HasGroups() bool { return m.groups() != "" }

// groups returns the hashes of the response's groups, one after the other.
func (m *CacheMeta) groups() string {
	if m.extensions == "" {
		return ""
	}
	packed, _ := m.Extension(extensionGroups)
	return packed
}
