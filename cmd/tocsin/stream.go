package main

import (
	"context"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

type streamCmd struct {
	Create        streamCreateCmd        `cmd:"" help:"Create a stream."`
	List          streamListCmd          `cmd:"" help:"List one's streams."`
	Get           streamGetCmd           `cmd:"" help:"Read a stream."`
	Update        streamUpdateCmd        `cmd:"" help:"Change members of a stream (PATCH)."`
	Replace       streamReplaceCmd       `cmd:"" help:"Replace what one said about a stream (PUT)."`
	Delete        streamDeleteCmd        `cmd:"" help:"Delete a stream."`
	Status        streamStatusCmd        `cmd:"" help:"Read or set the status of a stream."`
	AddSubject    streamAddSubjectCmd    `cmd:"" help:"Add a subject to a stream."`
	RemoveSubject streamRemoveSubjectCmd `cmd:"" help:"Remove a subject from a stream."`
	Verify        streamVerifyCmd        `cmd:"" help:"Ask for a verification event."`
	Profile       streamProfileCmd       `cmd:"" help:"Set the form in which a stream's SETs leave (our own transmitter)."`
	Encrypt       streamEncryptCmd       `cmd:"" help:"Encrypt a stream's SETs to a key of its receiver, or show it (our own transmitter)."`
	Replay        streamReplayCmd        `cmd:"" help:"Send again what was recorded from a time on (our own transmitter)."`
}

// idArg names the stream.
type idArg struct {
	ID string `arg:"" name:"stream-id" help:"The stream_id."`
}

// deliveryFlags are what a receiver says about a stream.
type deliveryFlags struct {
	Events        []string `help:"Event type URIs to ask for; a new stream carries no others." placeholder:"URI"`
	Push          string   `help:"Push to this endpoint_url; default: poll." placeholder:"URL"`
	Poll          bool     `help:"Poll."`
	Authorization string   `help:"Authorization header of each push; better given as TOCSIN_AUTHORIZATION." placeholder:"VALUE"`
	Description   *string  `help:"Text for people." placeholder:"TEXT"`
}

func (d deliveryFlags) request() (client.Request, error) {
	r := client.Request{EventsRequested: d.Events, Description: d.Description}
	switch {
	case d.Push != "" && d.Poll:
		return r, usage("--push and --poll exclude each other")
	case d.Push != "":
		r.Delivery = &streams.Delivery{Method: delivery.MethodPush, EndpointURL: d.Push, AuthorizationHeader: d.Authorization}
	case d.Poll:
		r.Delivery = &streams.Delivery{Method: delivery.MethodPoll}
	}
	return r, nil
}

type streamCreateCmd struct {
	peerFlags
	deliveryFlags
}

// Help shows an example.
func (streamCreateCmd) Help() string {
	return "Example:\n  tocsin stream create --issuer https://ssf.example --client-id shop --client-secret … \\\n" +
		"    --push https://shop.example/events --events https://schemas.openid.net/secevent/caep/event-type/session-revoked"
}

// Run creates it and prints its configuration.
func (c streamCreateCmd) Run(ctx context.Context, std streamsIO) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return api.Create(ctx, r) })
}

type streamListCmd struct{ peerFlags }

// Help shows an example.
func (streamListCmd) Help() string {
	return "Example:\n  TOCSIN_TOKEN=… tocsin stream list --issuer https://ssf.example"
}

// Run prints them.
func (c streamListCmd) Run(ctx context.Context, std streamsIO) error {
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return api.Streams(ctx) })
}

type streamGetCmd struct {
	peerFlags
	idArg
}

// Help shows an example.
func (streamGetCmd) Help() string {
	return "Example:\n  tocsin stream get --issuer https://ssf.example u4Zs0qk1"
}

// Run prints it.
func (c streamGetCmd) Run(ctx context.Context, std streamsIO) error {
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return api.Stream(ctx, c.ID) })
}

type streamUpdateCmd struct {
	peerFlags
	idArg
	deliveryFlags
}

// Help shows an example.
func (streamUpdateCmd) Help() string {
	return "Example:\n  tocsin stream update --issuer https://ssf.example --description \"shop, production\" u4Zs0qk1"
}

// Run changes it and prints it.
func (c streamUpdateCmd) Run(ctx context.Context, std streamsIO) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return api.Update(ctx, c.ID, r) })
}

type streamReplaceCmd struct {
	peerFlags
	idArg
	deliveryFlags
}

// Help shows an example.
func (streamReplaceCmd) Help() string {
	return "Example:\n  tocsin stream replace --issuer https://ssf.example --poll --events urn:example:event u4Zs0qk1"
}

// Run replaces it and prints it.
func (c streamReplaceCmd) Run(ctx context.Context, std streamsIO) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return api.Replace(ctx, c.ID, r) })
}

type streamDeleteCmd struct {
	peerFlags
	idArg
}

// Help shows an example.
func (streamDeleteCmd) Help() string {
	return "Example:\n  tocsin stream delete --issuer https://ssf.example u4Zs0qk1"
}

// Run deletes it.
func (c streamDeleteCmd) Run(ctx context.Context, std streamsIO) error {
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return nil, api.Delete(ctx, c.ID) })
}

type streamStatusCmd struct {
	peerFlags
	idArg
	Set    string `help:"New status: enabled, paused or disabled." enum:",enabled,paused,disabled" default:""`
	Reason string `help:"Reason of the new status." placeholder:"TEXT"`
}

// Help shows an example.
func (streamStatusCmd) Help() string {
	return "Example:\n  tocsin stream status --issuer https://ssf.example --set paused --reason \"maintenance\" u4Zs0qk1"
}

// Run sets it where asked, and prints it.
func (c streamStatusCmd) Run(ctx context.Context, std streamsIO) error {
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) {
		if c.Set == "" {
			return api.Status(ctx, c.ID)
		}
		return api.SetStatus(ctx, c.ID, streams.Status(c.Set), c.Reason)
	})
}

// subjectFlags name a subject.
type subjectFlags struct {
	Subject string `help:"Subject identifier as JSON." required:"" placeholder:"JSON"`
}

func (s subjectFlags) parse() (subject.Identifier, error) {
	id, err := subject.ParseStrict([]byte(s.Subject))
	if err != nil {
		return id, usage("--subject: %v", err)
	}
	return id, nil
}

type streamAddSubjectCmd struct {
	peerFlags
	idArg
	subjectFlags
	Unverified bool `help:"Say that the subject is not verified."`
}

// Help shows an example.
func (streamAddSubjectCmd) Help() string {
	return "Example:\n  tocsin stream add-subject --issuer https://ssf.example --subject '{\"format\":\"email\",\"email\":\"jo@example.com\"}' u4Zs0qk1"
}

// Run adds it.
func (c streamAddSubjectCmd) Run(ctx context.Context, std streamsIO) error {
	id, err := c.parse()
	if err != nil {
		return err
	}
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) {
		return nil, api.AddSubject(ctx, c.ID, id, c.Unverified)
	})
}

type streamRemoveSubjectCmd struct {
	peerFlags
	idArg
	subjectFlags
}

// Help shows an example.
func (streamRemoveSubjectCmd) Help() string {
	return "Example:\n  tocsin stream remove-subject --issuer https://ssf.example --subject '{\"format\":\"email\",\"email\":\"jo@example.com\"}' u4Zs0qk1"
}

// Run removes it.
func (c streamRemoveSubjectCmd) Run(ctx context.Context, std streamsIO) error {
	id, err := c.parse()
	if err != nil {
		return err
	}
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) {
		return nil, api.RemoveSubject(ctx, c.ID, id)
	})
}

type streamVerifyCmd struct {
	peerFlags
	idArg
	State *string `help:"Opaque text that the verification event repeats." placeholder:"TEXT"`
}

// Help shows an example.
func (streamVerifyCmd) Help() string {
	return "Example:\n  tocsin stream verify --issuer https://ssf.example --state hello u4Zs0qk1"
}

// Run asks for it.
func (c streamVerifyCmd) Run(ctx context.Context, std streamsIO) error {
	return printed(ctx, std, c.peerFlags, func(api *client.Client) (any, error) { return nil, api.Verify(ctx, c.ID, c.State) })
}
