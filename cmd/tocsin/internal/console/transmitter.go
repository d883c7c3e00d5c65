package console

import (
	"log/slog"

	"github.com/tocsin-ssf/tocsin/transmitter"
)

// ForTransmitter returns the console of a transmitter; provider and url are those of
// [Config].
func ForTransmitter(t *transmitter.Transmitter, issuer string, provider *Provider, url func() string, logger *slog.Logger) (*Console, error) {
	return New(Config{
		Provider: provider,
		Pages:    transmitterPages(), Name: issuer, URL: url,
		API: t.PagesHandler(OperatorOf), Check: t.Administrator, Signed: t.NoteSession, Logger: logger,
	})
}

// transmitterPages are the sections of a transmitter's console, in the order of its
// navigation; each has a file of its own.
func transmitterPages() Pages {
	return Pages{
		Half: "Transmitter",
		sections: []section{
			{Prefix, "Overview"},
			{streamsPage, "Streams"},
			{eventsPage, "Events"},
			{consentsPage, "Consents"},
			{applicationsPage, "Applications"},
			{clientsPage, "Clients"},
			{sourcesPage, "Sources"},
			{keysPage, "Keys"},
			{webhooksPage, "Webhooks"},
			{auditPage, "Audit"},
		},
		mount: func(c *Console) {
			c.mountOverview()
			c.mountStreams()
			c.mountEvents()
			c.mountConsents()
			c.mountApplications()
			c.mountClients()
			c.mountSources()
			c.mountKeys()
			c.mountWebhooks()
			c.mountAudit()
		},
	}
}
