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
// A transfer can do without the conveniences in this table, and cannot do
// without what is needed. Each has one place in which to handle a file system
// that lacks it:
//
//	what                    place                   Linux                 other Unix    Windows     kind
//	file below a folder     Folder (os.Root)        openat                openat        NtCreate    needed
//	data is durable         Temp.Sync               fsync                 fsync         Flush       needed
//	names are durable       syncFolder              fsync of the folder   the same      nothing     needed
//	publish, no replacing   renameNew               RENAME_NOREPLACE,     link and      link and    needed; falls back
//	                                                else link and remove  remove        remove      to linkAndRemove
//	replace                 Temp.Replace            rename                rename        rename      needed for --force
//	one writer of a part    lock                    flock                 flock         nothing     needed to resume
//	part belongs to us      isOwnedAlone            owner, one link       the same      never       needed to resume
//	time of a file          Temp.SetTime,           utimensat             the same      SetFileTime needed today
//	                        small_*.go
//	anonymous file          SmallWriter             O_TMPFILE, linkat     none          none        convenience; falls
//	                                                                                                back to a temporary
//	sync of a whole disk    Folder.SyncDisk         syncfs                none          none        convenience; see
//	                                                                                                Folder.SameDisk
//	early write-back        Temp.StartSync          sync_file_range       nothing       nothing     convenience
//	free space              Folder.Free             statfs                statfs        unknown     convenience
//
// After a crash a file has its old content, if it had any, or its new content.
// What may stay behind is a temporary file ([RemoveAbandoned] removes it) and,
// where publishing takes a link and a remove, a second name of a whole file.
package disk
