package sql_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	hook "github.com/tocsin-ssf/tocsin/receiver/hooks/sql"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// A table of sessions in the application's own database.
func Example() {
	db, err := sql.Open("sqlite", "file::memory:?cache=shared")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	_, err = db.Exec(`CREATE TABLE sessions (id TEXT, email TEXT, begun INTEGER); INSERT INTO sessions VALUES ('s1', 'jo@example.com', 1700000000)`)
	if err != nil {
		fmt.Println(err)
		return
	}
	ends, err := hook.New(hook.Config{DB: db, Statements: []hook.Statement{{
		SQL:  "DELETE FROM sessions WHERE email = ? AND begun <= ?",
		Args: []string{"user.email", "until_unix"},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// What hooks.Route does when an event is there:
	event := receiver.Delivery{Subject: subject.Email("jo@example.com"), EventTime: time.Unix(1700000060, 0)}
	out, err := ends.Act(context.Background(), hooks.NewAction(event, "sql", hooks.End))
	fmt.Println(out.Ended, err)
	// Output: 1 <nil>
}
