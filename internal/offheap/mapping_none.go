//go:build !linux || race

package offheap

// hasMappings is false under the race detector too, which does not see mappings.
const hasMappings = false

func mapMemory(int) []byte      { return nil }
func unmapMemory([]byte)        {}
func discardMemory([]byte) bool { return false }
