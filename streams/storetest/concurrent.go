package storetest

import "github.com/tocsin-ssf/tocsin/streams"

func concurrentCases() []testCase { return nil }

var _ streams.Item
