// Package disk is how files and folders of a transfer are read from and written
// to a file system. It knows the operating systems; it knows nothing of frames,
// transfers or peers. All access goes through an open [Folder], so a path that
// is replaced by a link meanwhile leads nowhere else.
//
// Writing a file takes these steps, and the caller must keep their order:
//
//  1. Make a [Temp]: [Folder.CreateTemp] or [Folder.ReopenTemp] for a file whose
//     data arrives in pieces, [SmallWriter.Write] for one that is in memory.
//  2. Write, then set the mode and the time.
//  3. [Temp.Sync], or [Folder.SyncDisk] for many at once: the data survives a
//     power cut.
//  4. [Temp.Publish]: the file appears under its name, whole, and replaces
//     nothing. [Temp.Replace] replaces a file or a link, and follows no link.
//  5. [Folder.Sync], or [Folder.SyncDisk]: the name survives a power cut. Only
//     now may the caller acknowledge the file.
//
// A transfer needs some of what the systems offer, and the rest is a convenience.
// Each has one place in which to handle a file system that lacks it:
//
//	what                   place                     Linux                other Unix       Windows
//	file below a folder    Folder, os.Root           openat               openat           NtCreateFile
//	durable data           Temp.Sync                 fsync                fsync (macOS:    FlushFileBuffers
//	                                                                      F_FULLFSYNC)
//	durable names          syncFolder                fsync of the folder  the same         nothing to do
//	publish, replace none  renameNew, linkAndRemove  RENAME_NOREPLACE     link and remove  link and remove
//	replace                Temp.Replace              rename               rename           rename
//	modes                  restrictMode,             fchmod               fchmod           read-only or not
//	                       restrictDescriptor
//	modification times     setTime, setTimeAt        utimensat            utimensat        SetFileTime
//	lock of a part         lock                      flock                flock            nothing
//	owner of a part        isOwnedAlone              owner, link count    the same         never ours
//	anonymous file         SmallWriter               O_TMPFILE, linkat    none             none
//	sync of a whole disk   SameDisk, SyncDisk        syncfs               none             none
//	early write-back       startSync                 sync_file_range      nothing          nothing
//	free space             freeBytes                 statfs               statfs           unknown
//
// Needed are the first five, and today also modes, times and the lock: where one of
// them fails, the file is not stored. Publishing falls back from RENAME_NOREPLACE to
// a link and a remove; without hard links it fails. Without an owner check no part is
// resumed. The others fall back: small files get a temporary name, each file is synced
// alone, and a full disk is noticed when a write fails.
//
// After a crash a file has its old content, if it had any, or its new content.
// What may stay behind is a temporary file ([RemoveAbandoned] removes it) and,
// where publishing takes a link and a remove, a second name of a whole file.
package disk
