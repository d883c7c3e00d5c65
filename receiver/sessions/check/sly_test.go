package check_test

import (
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

// Where nobody is let through, too, a session that has ended cannot be made to look like
// nobody's: what the endpoint does not read, the application behind it may.
func TestNobodyIsNotPretended(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	h := k.handler(func(c *check.Config) { c.Anonymous = true })
	k.says("nobody", ask(h), 200)
	k.says("another's cookies", ask(h, "Cookie", `a="b\"; theme=é`), 200)
	k.says("good, quoted", ask(h, "Cookie", `sid="jo"`), 200)
	for name, cookie := range map[string]string{
		"behind empty ones":    strings.Repeat("sid=; ", 5) + "sid=mo",
		"in octal":             `sid="\155o"`,
		"half quoted":          `sid="mo`,
		"with another byte":    "sid=mo\xe9",
		"with spaces":          ` sid = mo`,
		"behind a good one":    `sid=jo; sid="\155o"`,
		"revoked, as it comes": "sid=mo",
	} {
		k.says("cookie "+name, ask(h, "Cookie", cookie), 401)
	}
	mo := k.token("mo", nil)
	for name, value := range map[string]string{"a tab": "Bearer\t" + mo, "a tab and a space": "Bearer \t" + mo, "several spaces": "Bearer   " + mo, "a space before": " Bearer " + mo} {
		k.says("token behind "+name, ask(h, "Authorization", value), 401)
	}
	k.says("another scheme", ask(h, "Authorization", "Basic am86am8="), 200)
}
