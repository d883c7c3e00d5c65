package bench

import (
	"errors"
	"os"
	"sync"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// rawLog is the least that a durable log does: one goroutine takes what waits,
// as many at most as a commit of the log has, writes it behind the file's end
// and syncs once.
type rawLog struct {
	file  *os.File
	queue chan rawAppend
	idle  sync.Pool // of channels for done
	ended chan struct{}
}

type rawAppend struct {
	row  []byte
	done chan error
}

func newRawLog(path string) (*rawLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	l := &rawLog{file: f, queue: make(chan rawAppend, sqlitedb.MaxBatch), ended: make(chan struct{})}
	l.idle.New = func() any { return make(chan error, 1) }
	go l.run()
	return l, nil
}

// append returns when the row is on the disk.
func (l *rawLog) append(row []byte) error {
	done := l.idle.Get().(chan error)
	l.queue <- rawAppend{row, done}
	err := <-done
	l.idle.Put(done)
	return err
}

func (l *rawLog) run() {
	defer close(l.ended)
	var group []rawAppend
	var bytes []byte
	for one := range l.queue {
		group, bytes = append(group[:0], one), append(bytes[:0], one.row...)
		for len(group) < sqlitedb.MaxBatch && len(l.queue) > 0 { // nobody else takes
			one := <-l.queue
			group, bytes = append(group, one), append(bytes, one.row...)
		}
		_, err := l.file.Write(bytes)
		if err == nil {
			err = l.file.Sync()
		}
		for _, one := range group {
			one.done <- err
		}
	}
}

// close ends the log and removes its file; no append may run.
func (l *rawLog) close() error {
	close(l.queue)
	<-l.ended
	return errors.Join(l.file.Close(), os.Remove(l.file.Name()))
}
