package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// test runs the tests of rules.
func (c eventMapCmd) test(std streamsIO, mapper *mapping.Mapper, rules []mapping.RulesFile) error {
	files, err := testFiles(rules)
	if err != nil {
		return err
	}
	results, err := mapper.Test(files...)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if len(r.Failures) > 0 {
			failed++
		}
	}
	if c.JSON {
		err = printJSON(std.out, results)
	} else {
		printResults(std.out, results)
	}
	switch {
	case err != nil:
		return err
	case failed > 0:
		return fmt.Errorf("%d of %d tests failed", failed, len(results))
	case len(results) == 0:
		return errors.New("there are no tests: write some under \"tests\" in the rules file, or in FILE_test.yaml beside it")
	}
	return nil
}

func printResults(out io.Writer, results []mapping.TestResult) {
	for _, r := range results {
		verdict := "ok  "
		if len(r.Failures) > 0 {
			verdict = "FAIL"
		}
		fmt.Fprintf(out, "%s  %s:%d  %s\n", verdict, r.File, r.Line, r.Name)
		for _, f := range r.Failures {
			fmt.Fprintf(out, "        %s\n", f)
		}
	}
}

// testFiles returns the rules files and those with tests beside them; without
// any those of the built-in rules.
func testFiles(rules []mapping.RulesFile) ([]mapping.RulesFile, error) {
	if len(rules) == 0 {
		return mapping.BuiltInTests()
	}
	files := slices.Clone(rules)
	for _, f := range rules {
		stem, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		beside, err := readRules([]string{stem + "_test.yaml"})
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			files = append(files, beside...)
		}
	}
	return files, nil
}
