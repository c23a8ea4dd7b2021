// Package disk is how files and folders of a transfer are read from and written
// to a file system. It knows the operating systems; it knows nothing of frames,
// transfers or peers. All access goes through an open [Folder], so a path that
// is replaced by a link meanwhile leads nowhere else.
//
// Writing a file takes these steps, and the caller must keep their order:
//
//  1. Make a [Temp]: [Folder.RecreateTemp] or [Folder.ReopenTemp] for a file whose
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
// Each has one place in which a file system that lacks it is handled. "Warns" is
// reported once for each transfer, by [Folder.ReportLacks]:
//
//	what                   place                Linux               elsewhere           without it
//	file below a folder    Folder, os.Root      openat              openat              fails
//	durable data           Temp.Sync            fsync               fsync (macOS:       syncfs, else fails
//	                                                                F_FULLFSYNC)
//	replace                Temp.Replace         rename              rename              fails
//	publish, replace none  renameNew,           RENAME_NOREPLACE    macOS: RENAME_EXCL  link and remove
//	                       linkAndRemove        link and remove     link and remove     an empty file first; warns
//	                       takeAndRename        O_EXCL, rename      the same            fails
//	durable names          Folder.Sync          fsync of the folder the same; Windows:  syncfs, else warns
//	                                                                nothing to do
//	modes                  Temp.RestrictMode,   fchmod              fchmod              warns
//	                       Folder.Finish
//	mark of an unfinished  MkdirUnfinished      sticky bit          none                modes and times stay
//	folder                                                                              after a crash
//	modification times     SetTime, setTimeAt   utimensat           utimensat           warns
//	lock of a part         CreateTemp           flock               flock; Windows:     no resuming; warns
//	                                                                nothing
//	owner of a part        isOwnedAlone         owner, link count   the same; Windows:  no resuming
//	                                                                never ours
//	anonymous file         SmallWriter          O_TMPFILE, linkat   none                a temporary name
//	sync of a whole disk   Folder.SyncDisk      syncfs              none                each file alone
//	another name of a file Folder.Link          linkat              linkat; Windows:    the caller copies
//	                                                                none
//	early write-back       startSync            sync_file_range     nothing             nothing
//	free space             freeBytes            statfs              statfs; Windows:    a full disk is noticed
//	                                                                unknown             when a write fails
//
// [proto.IsLacking] decides whether an error means that a convenience is missing.
// [Folder.Probe] tries what is needed, before there is a peer.
//
// No way of publishing replaces a file of somebody else, and each but one shows a name
// only with the whole file. The last one, takeAndRename, first shows the name with an
// empty file, and a process that is killed in that moment leaves it.
//
// After a crash a file has its old content, if it had any, or its new content.
// What may stay behind is a temporary file ([RemoveAbandoned] removes it), the empty
// file of takeAndRename and, where publishing takes a link and a remove, a second name
// of a whole file.
package disk
