package cirque

import (
	"encoding/binary"

	"github.com/cirquecache/cirque/internal/field"
)

// GroupHash returns what a cache group is known by in a PurgeState: a hash of origin, as in
// "https://example.com", and name. Groups of different origins are different (RFC 9875 §2).
func GroupHash(origin, name string) HashBinary {
	b := make([]byte, 0, len(groupHashDomain)+len(origin)+len(name)+binary.MaxVarintLen64)
	b = append(b, groupHashDomain...)
	b = appendString(b, origin)
	return hash128(append(b, name...))
}

const groupHashDomain = "cirque group\x00"

// extensionGroups holds the GroupHash of each group that a response is in.
const extensionGroups = "cirque.groups"

// SetGroups notes which groups of origin the response is in, by its header (RFC 9875 §2). The rules
// do so with the origin of the request's target; whoever knows the origin by another name does it
// again.
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

// HasGroups reports whether SetGroups noted any.
func (m *CacheMeta) HasGroups() bool { return m.groups() != "" }

// groups returns the hashes of the groups that the response is in, one after the other.
func (m *CacheMeta) groups() string {
	if m.extensions == "" {
		return ""
	}
	packed, _ := m.Extension(extensionGroups)
	return packed
}
