package conformance

import (
	_ "embed" // the page is part of the program
	"html/template"
	"io"
)

//go:embed report.html
var page string

// WriteHTML writes the report as one HTML page that needs nothing else: no script, no
// style sheet or image of another place.
func (r *Report) WriteHTML(w io.Writer) error {
	parsed, err := template.New("report").Parse(page)
	if err != nil {
		return err
	}
	chapters, err := r.chapters()
	if err != nil {
		return err
	}
	return parsed.Execute(w, struct {
		*Report
		Chapters   []chapter
		Violations []Result
		Title      string
	}{r, chapters, r.Violations(), profileTitle(r.Profile)})
}

func profileTitle(name string) string {
	p, err := ProfileNamed(name)
	if err != nil {
		return name
	}
	return p.Title
}
