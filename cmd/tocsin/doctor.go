package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
)

// doctorCmd looks at configurations and at what runs. `tocsin doctor --config FILE` finds
// out by itself whose settings the file has (doctorArgs).
type doctorCmd struct {
	Running doctorRunningCmd `cmd:"" default:"withargs" help:"Look at the server of a data folder (what tocsin doctor does by itself)."`
	Serve   doctorServeCmd   `cmd:"" help:"Look at the settings of tocsin serve, what they name, and the server that runs on its folder."`
	Receive doctorReceiveCmd `cmd:"" help:"Look at the settings of tocsin receive, the transmitters that they name, and the receiver that runs on its folder."`
}

// doctorFlags are of each look.
type doctorFlags struct {
	printFlags
	Strict bool `help:"Exit with 1 for a warning, too."`
}

const doctorHelp = "Each line is ok, warn or fail: what was found, what it means, and below it what to do. Exit code 1 if something fails.\nIt changes nothing, and tells no secret."

// report prints what was found; what fails is the error.
func (f doctorFlags) report(std streamsIO, r *doctor.Report) error {
	r.Sort()
	err := error(nil)
	if f.JSON {
		err = printJSON(std.out, r)
	} else {
		_, err = r.WriteTo(std.out)
	}
	switch fails, warns := r.Count(doctor.Fail), r.Count(doctor.Warn); {
	case err != nil:
		return err
	case fails > 0:
		return fmt.Errorf("%d of %d findings are failures", fails, len(r.Findings))
	case f.Strict && warns > 0:
		return fmt.Errorf("%d of %d findings are warnings", warns, len(r.Findings))
	}
	return nil
}

// doctorTime bounds a whole look.
const doctorTime = 5 * time.Minute

// look runs fn and prints what it found.
func (f doctorFlags) look(ctx context.Context, std streamsIO, fn func(ctx context.Context, r *doctor.Report) error) error {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	r := new(doctor.Report)
	steady := doctor.Steady(r, doctor.MachineClock())
	if err := fn(ctx, r); err != nil {
		return err
	}
	steady()
	return f.report(std, r)
}

type doctorRunningCmd struct {
	doctorFlags
	Data string `help:"Data folder of the server, serve or receive; default: ./tocsin-data, else ./tocsin-receive." placeholder:"DIR"`
}

// Help shows an example.
func (doctorRunningCmd) Help() string {
	return "Examples:\n  tocsin doctor --data ./tocsin-data\n  tocsin doctor --data /var/lib/tocsin --json\n" +
		"With --config FILE it looks at the settings in it first, as tocsin doctor serve or tocsin doctor receive do, whosever they are.\n" + doctorHelp
}

// Run looks at what runs.
func (c doctorRunningCmd) Run(ctx context.Context, std streamsIO) error {
	folders := []string{c.Data}
	if c.Data == "" {
		folders = []string{defaultData, receive.DefaultData}
	}
	for _, dir := range folders {
		api := adminapi.Server(ctx, dir)
		if api == nil {
			continue
		}
		err := c.look(ctx, std, func(ctx context.Context, r *doctor.Report) error {
			doctor.Folder(r, dir, doctor.DiskOf)
			return running(ctx, r, api, doctor.Transmitter{API: api, Data: dir, Now: time.Now})
		})
		return errors.Join(err, api.Close())
	}
	return fmt.Errorf("no server runs on %s; name its folder with --data, or its settings with --config", strings.Join(folders, " or "))
}

// defaultData is the folder of serve.
const defaultData = "./tocsin-data"

// running looks at whatever runs: a receiver is known by its health.
func running(ctx context.Context, r *doctor.Report, api *adminapi.Client, t doctor.Transmitter) error {
	err := doctor.Receiver(ctx, r, api, t.Data, nil, t.Now())
	if said, ok := errors.AsType[*adminapi.Error](err); ok && said.Status == http.StatusNotFound {
		doctor.Sealed(r, t.Data, false, false)
		return t.Look(ctx, r)
	}
	return err
}

// doctorArgs adds to `doctor --config FILE` whose settings the file has: a receiver's
// names issuers.
func doctorArgs(args []string, file string) []string {
	at := slices.Index(args, "doctor")
	if config.Command(args) != "doctor" || at < 0 || file == "" {
		return args
	}
	if rest := args[at+1:]; len(rest) > 0 && slices.Contains([]string{"serve", "receive", "running"}, rest[0]) || slices.Contains(rest, "--help") || slices.Contains(rest, "-h") {
		return args
	}
	kind := "serve"
	if ofReceiver(file) {
		kind = "receive"
	}
	return slices.Insert(slices.Clone(args), at+1, kind)
}

// ofReceiver reports whether a file is the configuration of a receiver.
func ofReceiver(file string) bool {
	doc, err := settings.Read(file, os.Environ())
	return err == nil && doc.At("issuers").Present()
}

// readsOwn reports whether a command line is of a command that reads the file of
// --config by itself: it is no list of flags.
func readsOwn(args []string) bool {
	at := slices.Index(args, "doctor")
	return config.Command(args) == "receive" ||
		config.Command(args) == "doctor" && at+1 < len(args) && args[at+1] == "receive"
}

// quiet is a logger for what a look opens on its way.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
