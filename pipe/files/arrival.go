package files

import "mesh/pipe/digest"

// Arrival is what was sent by name, a file, a symbolic link or a folder, and is
// whole here.
type Arrival struct {
	// Name is what it is called where all is stored.
	Name string
	// Folder says that it is one. All in it that was announced is there.
	Folder bool
	// Bytes is its size, a folder's that of all files in it.
	Bytes int64
	// Digest is that of a file, else nil.
	Digest *digest.Digest
	// Stored counts the files and links of it that came now; the others were
	// there already.
	Stored int64
}

// arrival is one that is not complete yet. The store's lock guards it.
type arrival struct {
	Arrival
	spoilt bool // something in it is not stored
}

// maxArrived bounds what has not been told yet while names are not durable.
const maxArrived = 4096

// skip takes note of a file or a link that is there already.
func (r *receiver) skip(in *folder, a Arrival) {
	r.skipped++
	r.store.found(in, a)
}

// found counts a file or a link in a folder that is there by now. The receiver
// calls it; store.name counts by itself.
func (s *store) found(in *folder, a Arrival) {
	s.count(in, a, func(a Arrival) {
		if s.o.Arrived != nil {
			s.add(job{there: &a}) // behind what came before it
		}
	})
}

// count counts a file or a link in a folder. One that was sent by name is an
// arrival by itself.
func (s *store) count(in *folder, a Arrival, alone func(Arrival)) {
	s.mu.Lock()
	s.files += a.Stored
	if in.top != nil {
		in.top.Bytes += a.Bytes
		in.top.Stored += a.Stored
	}
	s.mu.Unlock()
	if in.top == nil {
		alone(a)
	}
}

// spoil takes note that not all of an arrival is stored; nil is none.
func (s *store) spoil(top *arrival) {
	if top == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	top.spoilt = true
}

// arriveFolder is arrive for a folder that was left.
func (s *store) arriveFolder(top *arrival) {
	s.mu.Lock()
	a, spoilt := top.Arrival, top.spoilt
	s.mu.Unlock()
	if !spoilt {
		s.arrive(a)
	}
}

// arrive keeps what to tell of until it is durable.
func (s *store) arrive(a Arrival) {
	if s.o.Arrived != nil {
		s.arrived = append(s.arrived, a)
	}
}

// announce makes what has arrived durable, and tells of it.
func (s *store) announce() error {
	if err := s.sync(); err != nil {
		return err
	}
	arrived := s.arrived
	s.arrived = nil
	for _, a := range arrived {
		if err := s.o.Arrived(a); err != nil {
			return err
		}
	}
	return nil
}
