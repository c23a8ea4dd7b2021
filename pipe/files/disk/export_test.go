package disk

// PublishByLink is [Temp.Publish] on a file system without RENAME_NOREPLACE.
func PublishByLink(t *Temp, name string) error { return linkAndRemove(t.in, t.name, name) }

// PublishByTaking is [Temp.Publish] on a file system without hard links, too.
func PublishByTaking(t *Temp, name string) error { return takeAndRename(t.in, t.name, name, nil) }
