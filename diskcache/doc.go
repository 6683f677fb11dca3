// Package diskcache is the Storage that survives a restart: one file for each entry, in a directory
// of the store's own.
//
// Open it, and pass the store and its eviction manager on together:
//
//	store, err := diskcache.Open("/var/cache/example", &diskcache.Config{MaxBytes: 100 << 30})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	options := &cirque.CacheOptions{Storage: store, Eviction: store.Eviction()}
//
// # What it keeps and what it may lose
//
// An entry is in place from Finish on, by an atomic rename; if the process is killed at any moment,
// it is there after the restart, and what was not finished is not. Header, key, meta and body carry
// checksums: a file that isn't what was written is a miss, removed and counted. So a power cut may
// lose entries of the last seconds (see Config.Sync), and never makes the store serve other bytes
// than were stored.
//
// # What it costs
//
// A hit on a body of up to 64 KiB is one open, one read and one close; a larger one goes out in
// pieces of 32 KiB. The index takes 39 to 48 bytes of memory an entry. The file format and what
// each guarantee costs are in docs/storage.md.
//
// # When the disk fails
//
// Methods return the disk's error and the cache goes on without the store; hits go on where only
// writing fails. Once the disk is found failing, nobody is made to wait for it: the store probes
// it, and goes on by itself. Config.OnHealth and Store.Err tell.
//
// # Systems
//
// Made for Unix. The directory is locked with flock(2); where the standard library has none, on
// Windows, Solaris, AIX and Plan 9, nothing keeps a second process out but whoever runs them. On
// Windows an entry that is being read cannot be replaced: such writes fail.
package diskcache
