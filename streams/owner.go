package streams

import "strings"

// environmentMark stands between an application and an environment in an owner;
// no application's id has it.
const environmentMark = "@"

// OwnerIn returns the owner of the streams that a credential of an application
// makes: the application, or, for a credential bound to an environment, that
// environment of it. Streams of an environment hear of its events alone, and
// neither sees or touches the other's.
func OwnerIn(application, environment string) string {
	if environment == "" {
		return application
	}
	return application + environmentMark + environment
}

// EnvironmentOf returns the environment that an owner is bound to, "" for none.
func EnvironmentOf(owner string) string {
	_, environment, _ := strings.Cut(owner, environmentMark)
	return environment
}

// ApplicationOf returns the application behind an owner, and whether it is the
// owner of its webhooks.
func ApplicationOf(owner string) (application string, webhooks bool) {
	owner, webhooks = strings.CutPrefix(owner, webhookOwner)
	application, _, _ = strings.Cut(owner, environmentMark)
	return application, webhooks
}
