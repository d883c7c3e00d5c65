package console

import "strconv"

// userName names a user of the machine, as the audit of acts does.
func userName(uid int) string { return "uid:" + strconv.Itoa(uid) }
