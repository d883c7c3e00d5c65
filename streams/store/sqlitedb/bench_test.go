package sqlitedb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// BenchmarkWrite is one durable insert by callers at once; its floor is
// BenchmarkSyncedAppend.
func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("callers-", callers), func(b *testing.B) {
			db := tempDB(b)
			var id atomic.Int64
			data := make([]byte, 700)
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := id.Add(1)
					err := db.Write(b.Context(), func(tx *sqlitedb.Tx) error {
						_, err := tx.Exec("INSERT INTO item(id, name, data) VALUES(?, ?, ?)", n, "x"+fmt.Sprint(n), data)
						return err
					})
					if err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkSyncedAppend is the machine's floor: append to a file and sync.
func BenchmarkSyncedAppend(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, 700)
	for b.Loop() {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
