// Package diskcache is the Storage that survives a restart: one file for each entry, in a directory
// that belongs to the store.
//
// Open the store, and pass it on together with its eviction manager:
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
// Finish puts an entry in place with an atomic rename. If the process is killed at any moment,
// finished entries are there after the restart, and unfinished ones are not. Header, key, meta and
// body carry checksums: a file with other content than was written is a miss, and is removed and
// counted. So a power cut may lose the entries of the last seconds (see Config.Sync), but the store
// never serves other bytes than were stored.
//
// # What it costs
//
// A hit on a body of up to 64 KiB costs one open, one read and one close; a larger body goes out in
// pieces of 32 KiB. The index takes 39 to 48 bytes of memory for each entry. docs/storage.md
// describes the file format and the cost of each guarantee.
//
// # When the disk fails
//
// Methods return the disk's error, and the cache goes on without the store. If only writing fails,
// hits go on. Once the store has found that the disk fails, it makes nobody wait for the disk: it
// probes the disk and uses it again when a probe succeeds. Config.OnHealth and Store.Err report the
// state.
//
// # Systems
//
// The package is made for Unix. It locks the directory with flock(2). The standard library has no
// such lock on Windows, Solaris, AIX and Plan 9: there, the operator must keep a second process
// out. On Windows an entry cannot be replaced while it is being read: such writes fail.
//
// # Files
//
// Calls between the files run down this list, except calls of the small methods of Store.
//
//	store.go           Store, its stripes, and its small methods
//	open.go            Open and Close
//	config.go          Config and its defaults
//	stats.go           Stats and StorageStats, and how operations are measured
//	probe.go           how the store finds that a disk that failed works again
//	write.go           a write under way: MissHandler, Write, Finish, Abort
//	commit.go          how a finished write becomes the entry of its key
//	bodyfile.go        the file of a write under way
//	lookup.go          Lookup: from a key to a hit
//	list.go            List: what is stored, for people
//	hit.go             hits on entries: body in memory, body in a file
//	update.go          UpdateMeta: a new meta in an entry file
//	journal.go         the journal of purges of everything and of groups
//	scan.go            the scan of the directory at Open
//	saved.go           the index and the eviction state that Close saves
//	remove.go          Purge, and the removal of damaged entries
//	registry.go        the list of writes under way
//	partial.go         hits on writes under way
//	generation.go      the files that hits have open
//	ledger.go          the account of disk space
//	root.go            the directory, its lock file, and whether it is still there
//	index.go           which entries are on disk
//	table.go           the hash table of one shard of the index
//	verifier.go        which parts of a body are known to be intact
//	entry.go           how an entry file is read
//	format.go          the layout of an entry file
//	buffers.go         pools of buffers
//	gate.go            what keeps requests away from a failing disk
//	sys_open_unix.go   opening and reading files
//	sys_open_other.go  the same for other systems
//	files.go           file operations that replace whatever is in the way
//	sys_unix.go        what the system's errors mean
//	sys_other.go       the same for other systems
//	sys_flock.go       the lock of the directory
//	sys_noflock.go     the same for systems that have none
//	sys_statfs.go      how much of a file system is free
//	sys_nostatfs.go    the same for systems that cannot tell
//	sys_ctim.go        the times of a file
//	sys_ctimespec.go   the same for macOS, FreeBSD and NetBSD
package diskcache
