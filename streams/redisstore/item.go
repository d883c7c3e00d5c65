package redisstore

import (
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams"
)

// The members of an item as scripts have it (lua/queue.lua).
const (
	itemJTI = iota
	itemType
	itemKey
	itemEpoch
	itemSubject
	itemAdded
	itemRef
	itemPos
	itemPayload
	itemLane
	itemResent
	itemTries
	itemMembers
)

// laneControl marks an item of the control lane.
const laneControl = "1"

// seqDigits are the digits of a sequence number in a place (lua/queue.lua).
const seqDigits = 16

// itemOf reads an item; its attempts are missing where the script does not tell.
func itemOf(stream string, v any) (streams.Item, error) {
	list, err := listOf(v)
	if err != nil || len(list) < itemMembers-1 {
		return streams.Item{}, errAnswer
	}
	it := streams.Item{
		Stream: stream, ID: textOf(list[itemJTI]), Type: textOf(list[itemType]), OrderKey: textOf(list[itemKey]),
		Subject: int(numberOf(list[itemSubject])), Added: instant(numberOf(list[itemAdded])), Resent: textOf(list[itemResent]) == "1",
	}
	if it.Epoch, err = strconv.ParseUint(textOf(list[itemEpoch]), 10, 64); err != nil {
		return it, errAnswer
	}
	if textOf(list[itemLane]) == laneControl {
		it.Lane, it.Payload = streams.LaneControl, []byte(textOf(list[itemPayload]))
		if len(it.Payload) == 0 {
			it.Payload = nil
		}
	} else if it.Pos, err = positionOf(textOf(list[itemPos])); err != nil {
		return it, err
	}
	if ref := textOf(list[itemRef]); ref != "" {
		if len(ref) <= seqDigits {
			return it, errAnswer
		}
		if it.Ref, err = positionOf(ref[:seqDigits] + "-" + ref[seqDigits:]); err != nil {
			return it, err
		}
	}
	if len(list) > itemTries {
		it.Attempts = int(numberOf(list[itemTries]))
	}
	return it, nil
}

// itemsOf reads a list of items.
func itemsOf(stream string, v any) ([]streams.Item, error) {
	list, err := listOf(v)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	items := make([]streams.Item, len(list))
	for i := range list {
		if items[i], err = itemOf(stream, list[i]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// positionOf reads SEQ-N.
func positionOf(text string) (streams.Position, error) {
	seq, n, _ := strings.Cut(text, "-")
	s, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return streams.Position{}, errAnswer
	}
	k, err := strconv.ParseUint(n, 10, 32)
	if err != nil {
		return streams.Position{}, errAnswer
	}
	return streams.Position{Seq: s, N: uint32(k)}, nil
}
