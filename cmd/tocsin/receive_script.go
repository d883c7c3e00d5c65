package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/script"
)

// errScript says that a step of a script failed; the report says why.
var errScript = errors.New("a step of the script failed")

// script runs the steps of a file and prints the report as JSON; what goes on stands on
// standard error.
func (c receiveRunCmd) script(ctx context.Context, std streamsIO) error {
	if std.config != "" {
		return usage("--script and --config exclude each other: a script says for itself what it receives")
	}
	if c.KeyFile != "" || c.Delivery != "" || c.Events != nil {
		return usage("--key-file, --delivery and --events are for a receiver without a script; its steps say what it asks for")
	}
	if c.Redis != "" {
		return usage("--redis is for a receiver without a script; a script keeps all in a folder of its own")
	}
	s, err := script.Read(c.Script, std.env, func(s *script.Script) {
		c.overIssuer(&s.Issuer)
		s.InsecureLoopback = s.InsecureLoopback || c.InsecureLoopback
		for _, one := range []struct {
			to    *string
			value string
		}{{&s.Listen, c.Listen}, {&s.PublicURL, c.PublicURL}} {
			if one.value != "" {
				*one.to = one.value
			}
		}
	})
	if err != nil {
		return err
	}
	level := c.LogLevel
	if level == "" {
		level = "warn"
	}
	report, err := s.Run(ctx, newLogger(std.err, level), func(step script.StepReport) {
		line := fmt.Sprintf("%s: %s (%d ms)", step.Result, step.Name, step.TookMS)
		if step.Why != "" {
			line += ": " + step.Why
		}
		fmt.Fprintln(std.err, line)
	})
	if err != nil {
		return err
	}
	if err := printJSON(std.out, report); err != nil {
		return err
	}
	if !report.Passed {
		return errScript
	}
	return nil
}

// overIssuer puts what the flags say of the one issuer over is.
func (f receiveFlags) overIssuer(is *receive.Issuer) {
	given := f.solo()
	for _, one := range []struct {
		to    *string
		value string
	}{
		{&is.Issuer, given.Issuer},
		{&is.MetadataURL, given.MetadataURL},
		{&is.JWKSURL, given.JWKSURL},
		{&is.Profile, given.Profile},
		{&is.CA, given.CA},
	} {
		if one.value != "" {
			*one.to = one.value
		}
	}
	if len(given.Audience) > 0 {
		is.Audience = given.Audience
	}
	if len(given.Allow) > 0 {
		is.Allow = given.Allow
	}
	if c := given.Credentials; c.Token != "" || c.TokenFile != "" || c.Client.ID != "" {
		is.Credentials = c
	}
}
