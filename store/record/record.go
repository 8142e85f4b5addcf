// Package record holds the forms in which engines of tables write what they keep
// and answer what they are asked, where these must not differ from one to the other:
// digests, the estate, cursors of pages, and the audit events of decisions. It knows
// no database.
package record

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
)

// Digests writes 64-bit digests, little endian.
func Digests(digests []uint64) []byte {
	b := make([]byte, 0, 8*len(digests))
	for _, d := range digests {
		b = binary.LittleEndian.AppendUint64(b, d)
	}
	return b
}

// ReadDigests reads what Digests wrote. A rest of less than a digest is left out.
func ReadDigests(b []byte) []uint64 {
	if len(b) < 8 {
		return nil
	}
	out := make([]uint64, 0, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		out = append(out, binary.LittleEndian.Uint64(b))
	}
	return out
}

// Words writes 32-bit words, little endian.
func Words(words []uint32) []byte {
	b := make([]byte, 0, 4*len(words))
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// ReadWords reads what Words wrote. A rest of less than a word is left out.
func ReadWords(b []byte) []uint32 {
	if len(b) < 4 {
		return nil
	}
	out := make([]uint32, 0, len(b)/4)
	for ; len(b) >= 4; b = b[4:] {
		out = append(out, binary.LittleEndian.Uint32(b))
	}
	return out
}

// StageID is a digest of a stage's key, so that no look-up is needed to refer to it.
func StageID(k inventory.StageKey) int64 {
	sum := sha256.Sum256([]byte(string(k.APIType) + "\x00" + k.Account + "\x00" + k.Region + "\x00" + k.APIID + "\x00" + k.Stage))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// StageOf is the stage of an endpoint.
func StageOf(k inventory.Key) inventory.StageKey {
	return inventory.StageKey{APIType: k.APIType, Account: k.Account, Region: k.Region, APIID: k.APIID, Stage: k.Stage}
}

// Estate writes a snapshot as compressed JSON.
func Estate(snapshot *estate.Snapshot) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(snapshot), z.Close()); err != nil {
		return nil, fmt.Errorf("encoding the estate: %w", err)
	}
	return b.Bytes(), nil
}

// ReadEstate reads what Estate wrote.
func ReadEstate(b []byte) (*estate.Snapshot, error) {
	snapshot := new(estate.Snapshot)
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(z).Decode(snapshot)
	}
	if err != nil {
		return nil, fmt.Errorf("the saved snapshot cannot be read: %w", err)
	}
	return snapshot, nil
}

// EstateChanges compares a snapshot with the saved one, which may be nil. A saved one
// that cannot be read, as after a change of its form, has no successor: the history
// goes on with the new one.
func EstateChanges(saved []byte, snapshot *estate.Snapshot) []estate.Change {
	if saved == nil {
		return nil
	}
	before, err := ReadEstate(saved)
	if err != nil {
		return nil
	}
	return estate.Diff(before, snapshot)
}

// APINames are the names of the APIs of a snapshot that have one, by StageKey without
// type and stage.
func APINames(snapshot *estate.Snapshot) map[inventory.StageKey]string {
	names := map[inventory.StageKey]string{}
	for _, account := range snapshot.Accounts {
		for _, region := range account.Regions {
			for i := range region.APIs {
				if name := region.APIs[i].Name; name != "" {
					names[inventory.StageKey{Account: account.ID, Region: region.Name, APIID: region.APIs[i].ID}] = name
				}
			}
		}
	}
	return names
}
