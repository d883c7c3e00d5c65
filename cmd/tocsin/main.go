// Command tocsin is a transmitter and a receiver of the OpenID Shared Signals
// Framework (SSF 1.0) in one binary. `tocsin --help` lists what it can do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

// version is the release, set by the linker (see the Makefile); without it the
// version that Go recorded of the module is told.
var version string

func main() {
	// A file at its size limit shall be an error of that write, not our end.
	signal.Ignore(syscall.SIGXFSZ)
	quietRedis()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line. Every flag has an environment twin, TOCSIN_<FLAG>,
// and is a key of the YAML file named by --config.
type cli struct {
	Config  string           `help:"YAML file with settings; a key is a flag's name." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version." name:"version"`

	Demo        demoCmd        `cmd:"" help:"Run both halves on a temporary store: sample records in, a session revoked, told step by step."`
	Serve       serveCmd       `cmd:"" help:"Run the transmitter."`
	Signer      signerCmd      `cmd:"" help:"Hold a transmitter's signing keys in a process of their own."`
	Receive     receiveCmd     `cmd:"" help:"Run the receiver as a daemon, and see what it does."`
	Application applicationCmd `cmd:"" help:"Add, list and remove applications (relying parties)."`
	Client      clientCmd      `cmd:"" help:"Add, list and remove clients (credentials)."`
	Source      sourceCmd      `cmd:"" help:"Add, list and remove sources that vendors' systems feed."`
	Stream      streamCmd      `cmd:"" help:"Manage streams at any SSF transmitter."`
	Event       eventCmd       `cmd:"" help:"Emit and read account events."`
	Consent     consentCmd     `cmd:"" help:"Note decisions about consent, and set applications' gates."`
	Webhook     webhookCmd     `cmd:"" help:"Manage webhooks: events to consumers without SSF."`
	Deadletter  deadletterCmd  `cmd:"" help:"List, resend and drop SETs that were set aside."`
	Set         setCmd         `cmd:"" help:"Decode, verify and sign a Security Event Token."`
	Key         keyCmd         `cmd:"" help:"List, rotate and retire signing keys."`
	Audit       auditCmd       `cmd:"" help:"List what operators and applications did: who, from where, what, what became of it."`
	Console     consoleCmd     `cmd:"" help:"Print a link that signs a browser in to the console of a running server."`
	Conformance conformanceCmd `cmd:"" help:"See what of the specifications a peer keeps."`
	Bench       benchCmd       `cmd:"" help:"Measure the transmitter against the floor of this machine."`
	Doctor      doctorCmd      `cmd:"" help:"Look at settings, at what they name and at what runs, and say what to do."`
	Health      healthCmd      `cmd:"" help:"Say whether the server of a data folder takes work, by the exit code."`
	Backup      backupCmd      `cmd:"" help:"Copy a data folder, also while a server runs on it."`
	Migrate     migrateCmd     `cmd:"" help:"Move a data folder to Redis."`
	Build       versionCmd     `cmd:"" help:"Print the version, and how it was built." name:"version"`
}

// streamsIO are the standard streams of a command.
type streamsIO struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	config   string // the file that --config names; "" for none
}

// errUsage marks a mistake in how a command was called.
var errUsage = errors.New("usage")

// usage returns a mistake of the caller, exit code 2.
func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

func run(ctx context.Context, args, env []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, code := parse(args, env, out, errOut)
	if command == nil {
		return code
	}
	command.BindTo(ctx, (*context.Context)(nil))
	err := command.Run(streamsIO{in: in, out: out, err: errOut, env: env, config: config.File(args, env)})
	switch {
	case err == nil:
		return exitDone
	case isConfigError(err):
		fmt.Fprintln(errOut, "tocsin:", err)
		return exitUsage
	case errors.Is(err, errUsage):
		fmt.Fprintln(errOut, "tocsin:", strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
		return exitUsage
	}
	fmt.Fprintln(errOut, "tocsin:", err)
	if next := hint(command, err); next != "" {
		fmt.Fprintln(errOut, next)
	}
	return exitFailed
}

// parse reads the command line. A nil command ends the program with the code.
func parse(args, env []string, out, errOut io.Writer) (*kong.Context, int) {
	file := config.File(args, env)
	args = doctorArgs(args, file)
	if readsOwn(args) {
		file = "" // it is no list of flags, and read by the command
	}
	settings, err := config.Load(file, env)
	if err != nil {
		fmt.Fprintln(errOut, "tocsin:", err)
		return nil, exitUsage
	}
	exit := -1
	parser, err := newParser(out, errOut, settings, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(errOut, "tocsin:", err)
		return nil, exitFailed
	}
	command, err := parser.Parse(markLiterals(args))
	if exit >= 0 { // --help or --version was answered
		return nil, exit
	}
	if err != nil {
		fmt.Fprintln(errOut, "tocsin:", err)
		fmt.Fprintf(errOut, "Try: tocsin%s --help\n", selected(err))
		return nil, exitUsage
	}
	return command, exitDone
}

// newParser returns the parser of the command line. exit is called when the
// program has been asked for help or its version, and has answered.
func newParser(out, errOut io.Writer, settings kong.Resolver, exit func(code int)) (*kong.Kong, error) {
	return kong.New(new(cli),
		kong.Name("tocsin"),
		kong.Description("Shared Signals (SSF) transmitter and receiver: when an account is suspended, every application knows within moments.\n\nStart with: tocsin demo"),
		kong.Writers(out, errOut),
		kong.Exit(exit),
		kong.Resolvers(settings),
		kong.KindMapper(reflect.String, textMapper{}),
		kong.Vars{"version": "tocsin " + release()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}

// selected returns the command that a wrong command line meant, with a space
// before it, or "".
func selected(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if node := wrong.Context.Selected(); node != nil {
			return " " + node.Path()
		}
	}
	return ""
}

// release returns the version of the program.
func release() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
