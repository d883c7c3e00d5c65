package console

// mountOverview adds the first page.
func (c *Console) mountOverview() { c.page("GET /console/{$}", overview) }

type overviewPage struct {
	Frame
	Applications int
	Index        struct{ Indexed, Records uint64 }
}

func overview(v *view) error {
	page := overviewPage{Frame: v.frame("Overview")}
	var applications []struct{}
	if err := v.get("/admin/applications", &applications); err != nil {
		return err
	}
	page.Applications = len(applications)
	if err := v.get("/admin/index", &page.Index); err != nil {
		return err
	}
	return v.show("overview", page)
}
