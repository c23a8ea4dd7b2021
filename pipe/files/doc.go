// Package files carries files and folders over a pair of pipes. The sender
// announces what there is, the receiver answers what it has, and the sender sends
// the rest. A file appears at the receiver only when it is whole. "Files" in package
// proto has the frames and their order.
//
// # From a received name to the disk
//
// A name from a peer is hostile until it has passed these steps. Each step calls
// only those below it. The numbers are exit codes: with 31 or 41 the transfer ends;
// with 40 or 42 the entry alone is refused, and the transfer goes on, unless it says
// otherwise.
//
//	frame       frames.go            readFrames, parseEntry: the bytes are one valid
//	                                 FILES_ENTRY (31; 12 if they end); they are UTF-8, and
//	                                 its path is not empty and not too long (42, ends the transfer)
//	order       receive_entry.go     receiver.handleEntry: an entry may come now (31)
//	            receive_order.go     order.countEntry: ids count up (31); entries and bytes
//	                                 are within the limits (41)
//	name        path.go              CheckPath: relative, no empty component, no dot-dot, not
//	                                 like our temporary files, not too deep (42); without
//	                                 AnyNames, nothing deceptive (42); with Portable, possible
//	                                 on every system (42)
//	place       receive_order.go     order.placeEntry: the folder was announced, and the name
//	                                 comes in its order there (31)
//	rivals      rivals.go            checkRivals: the file system does not take the name for
//	                                 one before it (42), here and again in publishPart
//	folders     receive_entry.go     receiver.placeEntry leaves the folders before;
//	                                 receiver.storeEntry stores nothing in a refused one (its
//	                                 code), and with As only one file (42)
//	            receive_folder.go    makeFolder: only a real folder is entered (42)
//	            store_folder.go      folder.open: it is the same folder as before, and no link
//	                                 (42; ends the transfer when data comes for it later)
//	            receive_entry.go     storeSymlink: checkLinkTarget keeps links inside (42)
//	links       store_link.go        committer.storeLink: a hard link leads to a file that this
//	                                 delivery has published, and that has not changed (42)
//	compare     receive_existing.go  existing.compare: other content of that name stays, unless
//	                                 Force or Rename is set (42); what is there already is not
//	                                 sent again if the peer has stored it
//	            ledger.go            Ledger: else the peer hears nothing before it has sent all,
//	                                 and then for one guess only (42)
//	room        receive_existing.go  checkRoom: a large file fits on the disk (41)
//	part        receive_data.go      incoming.begin, readSmall: data comes for this file now
//	            store_part.go        part.write, part.complete, checkSmall: as many bytes as
//	                                 announced (31 for more, 30 for fewer), with their digest
//	                                 (30); a failed write ends the transfer (40, 41)
//	store       store.go             store.addPart, addSmall: in order, a batch at a time
//	            store_write.go       writers.writePart: small files reach the file system (40;
//	                                 41 ends the transfer)
//	            store_commit.go      committer.syncData: the data is durable (40, 41, both end
//	                                 the transfer)
//	publish     store_publish.go     publishPart: nothing is replaced but a file or a link, and
//	                                 with Force only (42); a folder that takes no file (40)
//	            disk                 Temp.Publish, Temp.Replace: through the open folder
//	durable     store_commit.go      committer.syncNames, announce: the names are durable (40,
//	                                 41, both end the transfer)
//	acknowledge receive.go           acknowledge: FILES_STORED, when all of this is done
//
// Package disk has all that depends on the operating system. ReceiveArchive
// (archive_receive.go) takes the same steps down to the place, and then writes an
// archive (package archive) in the order of the entries. There any refusal ends the
// transfer.
//
// # From a file to its frames
//
//	find      send_walk.go, archive_read.go   walk.next, archiveReader.next: the same order and
//	                                          name checks (42), nothing special (40)
//	announce  send_announce.go                sender.announce: FILES_ENTRY; small files with digest
//	answer    send_answers.go                 answers.read, sender.handleAnswer: it fits its entry (31)
//	data      send_file.go                    sender.sendFile, sendData: from where the receiver has it;
//	                                          the file has not changed meanwhile (44)
//	end       send.go                         sender.sendAll: FILES_TOTAL, and waits for FILES_STORED
//
// # Two layers of frames
//
// The frames of this package are the bytes of a transfer, which package pipe cuts
// into FILE_CHUNKs again. The two layers know nothing of each other: pipe gives
// files all that a transfer has (going on after a broken link, several subflows,
// flow control, receipts, a final acknowledgement), and the frames here say which
// file the bytes belong to, and let many small files share a chunk. The
// price is five bytes a frame of up to 256 KiB, one more pass through memory at each
// end ([io.Pipe], whose writer and reader wait for each other), and a second hash of
// what is sent: pipe hashes the transfer, this package each file, since a file must
// be checked before it gets its name.
package files
