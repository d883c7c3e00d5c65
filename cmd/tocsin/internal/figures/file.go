package figures

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
)

// The file (docs/operations/figures.md): magic, a byte with the version, the deflated
// body, and the CRC-32C of all before it, big-endian.
const (
	magic   = "tocsin figures\n"
	version = 1

	// maxFileBytes and maxBodyBytes bound what is read: some ten times what is written.
	maxFileBytes = 8 << 20
	maxBodyBytes = 32 << 20

	// asideSuffix is what the name of a file that cannot be read ends in.
	asideSuffix = ".aside"
)

// errFormat: the file is torn, or not one of ours.
var errFormat = errors.New("not a whole file of figures")

// load reads the file. One that cannot be used is put aside.
func (k *Keeper) load() {
	raw, err := readFile(k.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var read *body
	if err == nil {
		read, err = decode(raw)
	}
	if err == nil {
		k.kept.take(read, k.cfg.Now().Unix())
		return
	}
	k.cfg.Logger.Warn("the figures of before cannot be read; they are put aside and begin anew", "file", k.cfg.Path, "err", err)
	if err := os.Rename(k.cfg.Path, k.cfg.Path+asideSuffix); err != nil {
		k.cfg.Logger.Warn("the figures of before cannot be put aside; they will be overwritten", "file", k.cfg.Path, "err", err)
	}
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(raw) > maxFileBytes {
		err = fmt.Errorf("%w: it has more than %d bytes", errFormat, maxFileBytes)
	}
	return raw, err
}

// save writes the file. That it fails is told once, until it works again.
func (k *Keeper) save(ctx context.Context) {
	k.mu.Lock()
	plain := k.kept.encode()
	k.mu.Unlock()
	fault := ""
	if err := wholefile.Replace(k.cfg.Path, seal(plain), 0o600); err != nil {
		fault = err.Error()
	}
	k.mu.Lock()
	before := k.fault
	k.fault = fault
	k.mu.Unlock()
	if fault != "" && before == "" {
		k.cfg.Logger.WarnContext(ctx, "the figures cannot be written; they are in memory alone", "file", k.cfg.Path, "err", fault)
	}
}

// seal makes the file of a body.
func seal(plain []byte) []byte {
	var out bytes.Buffer
	out.WriteString(magic)
	out.WriteByte(version)
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil { // the level is right, and memory takes all
		panic(err)
	}
	return binary.BigEndian.AppendUint32(out.Bytes(), crc32.Checksum(out.Bytes(), crc32.MakeTable(crc32.Castagnoli)))
}

// open returns the body of a file.
func open(raw []byte) ([]byte, error) {
	end := len(raw) - crc32.Size
	if end < len(magic)+1 || string(raw[:len(magic)]) != magic {
		return nil, errFormat
	}
	if v := raw[len(magic)]; v != version {
		return nil, fmt.Errorf("it has version %d of the format, which is not known here", v)
	}
	if crc32.Checksum(raw[:end], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(raw[end:]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", errFormat)
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw[len(magic)+1:end])), maxBodyBytes+1))
	if err != nil || len(plain) > maxBodyBytes {
		return nil, fmt.Errorf("%w: its body cannot be inflated", errFormat)
	}
	return plain, nil
}

// encode returns the body: the figures, and of each ring its slots that hold something,
// newest first. Numbers are varints, values 32-bit floats, big-endian.
func (k *kept) encode() []byte {
	var b []byte
	b = binary.AppendUvarint(b, uint64(len(k.figures)))
	for i, f := range k.figures {
		b = binary.AppendUvarint(b, uint64(len(f.Name)))
		b = append(b, f.Name...)
		b = append(b, byte(f.Kind))
		b = binary.AppendUvarint(b, uint64(len(k.bounds[i])))
		for _, bound := range k.bounds[i] {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(bound))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(k.rings)))
	for _, r := range k.rings {
		b = r.encode(b)
	}
	return b
}

func (r *ring) encode(b []byte) []byte {
	filled := 0
	for _, s := range r.seen {
		if s > 0 {
			filled++
		}
	}
	b = binary.AppendUvarint(b, uint64(r.step.Seconds()))
	b = binary.AppendUvarint(b, uint64(r.newest))
	b = binary.AppendUvarint(b, uint64(filled))
	for age := range int64(r.slots()) {
		if n := r.newest - age; n >= 0 && r.seen[r.place(n)] > 0 {
			b = binary.AppendUvarint(b, uint64(age))
			b = r.encodeSlot(b, r.place(n))
		}
	}
	return b
}

func (r *ring) encodeSlot(b []byte, at int) []byte {
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(r.seen[at]))
	for f, values := range r.values {
		if values != nil {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(values[at]))
			continue
		}
		var counts []uint32
		if all := r.spreads[f]; all != nil {
			width := len(all) / r.slots()
			counts = all[at*width : (at+1)*width]
		}
		for len(counts) > 0 && counts[len(counts)-1] == 0 {
			counts = counts[:len(counts)-1]
		}
		b = binary.AppendUvarint(b, uint64(len(counts)))
		for _, n := range counts {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// take takes over what a file held of the figures that there still are; what lies after
// now, in Unix seconds, is left out.
func (k *kept) take(b *body, now int64) {
	from := make([]int, len(k.figures)) // place in the file, or -1
	for i, f := range k.figures {
		from[i] = slices.IndexFunc(b.figures, func(o Figure) bool { return o.Name == f.Name && o.Kind == f.Kind })
		if from[i] >= 0 && b.bounds[from[i]] != nil {
			k.adopt(i, b.bounds[from[i]])
		}
	}
	for _, r := range k.rings {
		for _, s := range b.slots[int64(r.step.Seconds())] { // oldest first
			if r.step.Seconds()*float64(s.number) <= float64(now) {
				r.put(s, from)
			}
		}
	}
}

func (r *ring) put(s slot, from []int) {
	r.move(s.number)
	at := r.place(s.number)
	r.seen[at] = s.seen
	for f, i := range from {
		switch {
		case r.values[f] == nil && i >= 0 && r.spreads[f] != nil:
			width := len(r.spreads[f]) / r.slots()
			copy(r.spreads[f][at*width:(at+1)*width], s.spreads[i])
		case r.values[f] != nil && i >= 0:
			r.values[f][at] = s.values[i]
		case r.values[f] != nil:
			r.values[f][at] = float32(math.NaN())
		}
	}
}
