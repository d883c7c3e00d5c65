package console

// Transmitter returns the pages of a transmitter.
func Transmitter() Pages {
	return Pages{
		Half: "Transmitter",
		sections: []section{
			{Prefix, "Overview"},
			{"/console/applications", "Applications"},
		},
		mount: func(c *Console) {
			c.mountOverview()
			c.mountApplications()
		},
	}
}
